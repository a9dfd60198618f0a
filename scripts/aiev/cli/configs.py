"""`aiev configs`: the runs that the project ships."""

from pathlib import Path

from aiev.cli.options import check_checkout

NOT_A_RUN = {"schema.yaml", "resources.yaml"}


def configs() -> None:
    """List the configs in config/ that describe a run, one path a line."""
    check_checkout()
    for path in sorted(Path("config").glob("*.yaml")):
        if path.name not in NOT_A_RUN:
            print(path.as_posix())
