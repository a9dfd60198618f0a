"""Print what the answers in a run's ledger were paid with: by stage and model, over all runs."""

import argparse
import sys
from pathlib import Path

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.llm.budget import Spending, rows
from aiev.reporting.scores import columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="the run's config")
    config = read_config(parser.parse_args().config)
    spending = Spending(Path(config["ledger"]["path"]), prices=config["prices"])
    print("\n".join(columns(rows(spending), names=2)))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"costs: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
