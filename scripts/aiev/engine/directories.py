"""The directories that a run writes to, which nothing else may stand in the place of."""

import os
from pathlib import Path

from aiev.core.errors import UserError

DIRECTORIES = ("results", "resources", "logs", "benchmarks", ".snakemake", ".aiev")
OF_A_RUN = ("results", "logs", "benchmarks")
"""Those that hold a directory for each run, by its name."""


def check_directories(run: str = "", ledger: str = "") -> None:
    """Check that each directory which a run writes to is one, or can be made.

    run: the run's name. ledger: path of the directory of answers.
    Raises UserError for the first file, or link to nothing, in the place of a directory.
    """
    for path in DIRECTORIES:
        _check(Path(path))
    for path in OF_A_RUN if run else ():
        _check(Path(path, run))
    if ledger:
        _check(Path(ledger), "execution.ledger.path")


def _check(path: Path, key: str = "") -> None:
    """key: the config's key that names the path."""
    for each in (*reversed(path.parents), path):
        if os.path.lexists(each) and not os.path.isdir(each):
            what = "a file" if os.path.exists(each) else "a link to nothing"
            raise UserError(
                f"{each} is {what}, and a directory is needed",
                where=f"config: {key}" if key else str(Path.cwd()),
                hint=f"set {key} to a directory"
                if key
                else f"move {each} away, then run the command again",
            )
