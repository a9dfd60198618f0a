"""Put a ledger into one file to publish, or the entries of such a file into a ledger."""

import argparse
import sys
from pathlib import Path

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.log import start_log
from aiev.llm.ledger import Ledger
from aiev.llm.ledger_pack import pack, unpack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["pack", "unpack"])
    parser.add_argument("file", type=Path, help="the packed ledger, .jsonl.gz")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--ledger", type=Path, help="directory")
    which.add_argument("--config", type=Path, help="the config that names it")
    arguments = parser.parse_args()
    start_log(None)
    ledger = arguments.ledger or Path(read_config(arguments.config)["ledger"]["path"])
    if arguments.way == "pack":
        count, digest = pack(ledger, arguments.file)
        print(f"{arguments.file}: {count} entries, contents sha256 {digest}")
        return
    counts = unpack(arguments.file, Ledger(ledger))
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{ledger}: {said}")
    if counts["different"]:
        print("where answers differ, those that the ledger had were kept")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"ledger: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit("ledger: interrupted; run the same command again to go on")
