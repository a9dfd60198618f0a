"""What several commands share: options, checks of the directory and of files, a config's ledger."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiev.core.errors import UserError
from aiev.core.files import check_file

if TYPE_CHECKING:
    from aiev.llm.costs import Costs

DEFAULT_CONFIG = Path("config/config.yaml")

ConfigOption = Annotated[Path, typer.Option("--config", help="The run's config.", metavar="FILE")]
CoresOption = Annotated[int, typer.Option("--cores", min=1, help="Processors to use.", metavar="N")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def check_checkout(config: Path | None = None) -> None:
    """Raise UserError unless the current directory is a checkout of the project, and the file
    `config` exists, where one is named."""
    if not Path("Snakefile").is_file():
        raise UserError(
            "this directory is not a checkout of the project",
            where=str(Path.cwd()),
            hint="change to the directory that holds the Snakefile, then run the command again",
        )
    if config:
        check_file(config, "no such config", "name one with --config FILE")


def check_writable(path: Path, option: str) -> None:
    """Raise UserError unless a file can be written at `path`, so that long work is not lost at its
    end. Makes the folder. option: the one that names the file."""
    hint = f"name another file with {option}"
    if path.is_dir():
        raise UserError("this is a directory, and a file is needed", where=str(path), hint=hint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder of this file: {error.strerror}"
        raise UserError(message, where=str(path), hint=hint) from error
    if not os.access(path.parent, os.W_OK):
        raise UserError("this folder cannot be written to", where=str(path.parent), hint=hint)


def ledger_of(config: Mapping[str, Any]) -> Path:
    """Directory of the ledger that a config names."""
    return Path(config["execution"]["ledger"]["path"])


def spending_of(config: Mapping[str, Any]) -> "Costs":
    """What was paid through the ledger that a config names, at the config's prices."""
    from aiev.llm.costs import Costs

    return Costs(ledger_of(config), prices=config["execution"]["prices"])
