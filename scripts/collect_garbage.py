"""Keep the store of finished actions below a size; what was not used for longest goes first."""

import argparse
import sys

from aiev.action import open_store
from aiev.errors import UserError
from aiev.garbage import Entry, bytes_of, collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", default="20GiB", help="at most so much is kept")
    parser.add_argument("--all", action="store_true", help="also what made files of this checkout")
    arguments = parser.parse_args()
    store = open_store()
    removed, kept = collect(store, bytes_of(arguments.size), spare_noted=not arguments.all)
    print(f"{store.actions}: removed {_said(removed)}; kept {_said(kept)}")


def _said(entries: list[Entry]) -> str:
    return f"{len(entries)} actions of {sum(e.size for e in entries) / 2**20:.1f} MiB"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"gc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
