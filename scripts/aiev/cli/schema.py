"""`aiev schema`: the description of every config key."""

from typing import Annotated

import typer

from aiev.cli.options import check_checkout

WriteOption = Annotated[
    bool, typer.Option("--write", help="Write config/schema.yaml in place of printing it.")
]


def schema(write: WriteOption = False) -> None:
    """Print the schema of configs: every key with its description, its type and its default."""
    from aiev.config import schema as generated

    check_checkout()
    if write:
        changed = generated.write()
        print(f"{generated.PATH}: {'written' if changed else 'is current'}")
    else:
        print(generated.text(), end="")
