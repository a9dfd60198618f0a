"""Print one screen about a finished run: scores, funnel, and where the report lies."""

import argparse
import sys
from pathlib import Path

from aiev.config.load import read_config
from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.llm.budget import Spending, in_a_line
from aiev.reporting.scores import summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="the run's config")
    config = read_config(parser.parse_args().config)
    results = Path("results") / config["name"]
    scores, funnel = read_json(results / "scores.json"), read_json(results / "funnel.json")
    spending = Spending(Path(config["ledger"]["path"]), prices=config["prices"])
    duels = read_json(results / "rounds.json")
    said = summary(scores, funnel, duels, str(results / "scores.md"), in_a_line(spending))
    print(said, end="")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"summary: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
