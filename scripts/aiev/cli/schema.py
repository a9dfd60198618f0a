"""`aiev schema`: the description of every config key."""

from pathlib import Path

from aiev.cli.options import check_checkout

SCHEMA = Path("config/schema.yaml")


def schema() -> None:
    """Print the schema of configs: every key with its description, its type and its default."""
    check_checkout()
    print(SCHEMA.read_text("utf-8"), end="")
