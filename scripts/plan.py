"""Say what a run would do, and what it would cost at most; then what was paid for so far."""

import argparse
import sys
from pathlib import Path

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.engine.events import dry_run, jobs
from aiev.llm.budget import Spending
from aiev.reporting.plan import screen

CHANGED = "a run would make it again"
"""What is said of an output that was changed since it was made."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="the run's config")
    path = parser.parse_args().config
    config = read_config(path)
    code, said = dry_run(str(path))
    planned = jobs(code, said)
    for line in said.splitlines():
        if line.endswith(CHANGED):
            print(line)
    spending = Spending(Path(config["ledger"]["path"]), prices=config["prices"])
    print(screen(config, planned, spending), end="")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"plan: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
