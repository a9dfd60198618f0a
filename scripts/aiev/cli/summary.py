"""`aiev summary`: one screen about a finished run."""

from pathlib import Path

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, spending_of
from aiev.core.errors import UserError


def summary(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print a finished run's scores, its funnel from seeds to dialogues, and its last duel.

    \b
      aiev summary
      aiev summary --config config/gate-shut.yaml
    """
    from aiev.config.load import read_config
    from aiev.core.files import read_json
    from aiev.llm.costs import cost_summary
    from aiev.reporting.terminal import summary as screen

    read = read_config(config)
    results = Path("results") / read["name"]
    if not (results / "scores.json").exists():
        hint = f"finish it first: aiev run --config {config}"
        raise UserError("this run has no scores yet", where=str(results), hint=hint)
    scores, funnel = read_json(results / "scores.json"), read_json(results / "funnel.json")
    duels = read_json(results / "rounds.json")
    spending = spending_of(read)
    page = str(results / "scores.md")
    print(screen(scores, funnel, duels, page, cost_summary(spending)), end="")
