"""`aiev schema`: the description of every config key."""

from typing import Annotated

import typer

from aiev.cli.options import check_checkout
from aiev.core.errors import UserError

WriteOption = Annotated[
    bool, typer.Option("--write", help="Write it to config/schema.yaml instead of printing it.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Only check that config/schema.yaml is up to date.")
]


def schema(write: WriteOption = False, check: CheckOption = False) -> None:
    """Print the schema of configs: every key with its description, its type and its default.

    The schema is generated from the classes that read a config. Editors take it from
    config/schema.yaml.

    \b
      aiev schema | less
      aiev schema --write      after a change to a settings.py
    """
    check_checkout()
    from aiev.config import schema as generated

    if write:
        changed = generated.write()
        print(f"{generated.PATH}: {'written' if changed else 'already up to date'}")
    elif check:
        known = generated.PATH.read_text("utf-8") if generated.PATH.is_file() else ""
        if known != generated.text():
            hint = "run: aiev schema --write"
            message = "the schema differs from the config models"
            raise UserError(message, where=str(generated.PATH), hint=hint)
        print(f"{generated.PATH}: up to date")
    else:
        print(generated.text(), end="")
