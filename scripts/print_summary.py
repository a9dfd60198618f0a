"""Print one screen about a finished run: scores, funnel, and where the report lies."""

import argparse
from pathlib import Path

from aiev.records import read_json
from aiev.report import summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("scores", "funnel", "page"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    print(summary(read_json(given.scores), read_json(given.funnel), str(given.page)), end="")


if __name__ == "__main__":
    main()
