"""Put a ledger into one file to publish, or the entries of such a file into a ledger."""

import argparse
import sys
from pathlib import Path

from aiev.errors import UserError
from aiev.ledger import Ledger
from aiev.ledgerpack import pack, unpack
from aiev.progress import start_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["pack", "unpack"])
    parser.add_argument("file", type=Path, help="the packed ledger, .jsonl.gz")
    parser.add_argument("--ledger", type=Path, default=Path("ledger"), help="directory")
    arguments = parser.parse_args()
    start_log(None)
    if arguments.way == "pack":
        count, digest = pack(arguments.ledger, arguments.file)
        print(f"{arguments.file}: {count} entries, contents sha256 {digest}")
        return
    counts = unpack(arguments.file, Ledger(arguments.ledger))
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{arguments.ledger}: {said}")
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
