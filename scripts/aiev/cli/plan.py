"""`aiev plan`: what a run would do and cost, before it runs."""

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout, ledger_of, spending_of

CHANGED = "a run would make it again"
"""End of the dry run's line about an output that was changed after it was made."""


def plan(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show what a run would do and cost at most, without doing it.

    Lists the jobs that would start; the questions, tokens and dollars that they can take at most,
    if neither the ledger nor the action store held an answer; and what was paid for so far.

    \b
      aiev plan
      aiev plan --config config/mine.yaml
    """
    check_checkout(config)
    from aiev.config.load import read_config
    from aiev.engine.directories import check_directories
    from aiev.engine.events import dry_run
    from aiev.reporting.plan import screen

    read = read_config(config)
    check_directories(read["name"], str(ledger_of(read)))
    done = dry_run(str(config))
    planned = done.jobs()
    for line in done.output.splitlines():
        if line.endswith(CHANGED):
            print(line)
    spending = spending_of(read)
    print(screen(read, planned, spending), end="")
