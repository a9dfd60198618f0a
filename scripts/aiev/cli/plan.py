"""`aiev plan`: what a run would do and cost, before it runs."""

import json
from pathlib import Path

from aiev.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    check_checkout,
    ledger_of,
    spending_of,
)

CHANGED = "a run would make it again"
"""End of the dry run's line about an output that was changed after it was made."""


def plan(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show what a run would do and cost, without doing it.

    Lists the jobs that would start; the calls, tokens and dollars that they take at most, if
    neither the ledger nor the action store held an answer, and as earlier runs with this teacher
    took them; memory, hours and disk of the trainings (see execution.plan); and what was paid for
    so far.

    \b
      aiev plan
      aiev plan --config config/mine.yaml --json
    """
    check_checkout(config)
    from aiev.config.checks import doubts
    from aiev.config.load import read_config
    from aiev.core.log import log
    from aiev.engine.directories import check_directories
    from aiev.engine.events import dry_run
    from aiev.engine.run_record import other_config
    from aiev.engine.store import open_store
    from aiev.reporting import plan as planning
    from aiev.reporting.rates import rates_of

    read = read_config(config)
    check_directories(read["name"], str(ledger_of(read)))
    for doubt in [*doubts(read), *other_config(read["name"], config)]:
        log.warning(doubt)
    done = dry_run(str(config))
    jobs = done.jobs()
    spending = spending_of(read)
    store = open_store()

    def answers(output: Path) -> list[str] | None:
        return ((store.made(output) or {}).get("remarks") or {}).get("answers")

    rates = rates_of(read["models"]["teacher"]["name"], spending, answers)
    found = planning.plan_of(read, jobs, spending, rates)
    if as_json:
        print(json.dumps(planning.as_json(found), indent=2))
        return
    for line in done.output.splitlines():
        if line.endswith(CHANGED):
            print(line)
    print(planning.screen(found), end="")
