"""The prompt templates: one Markdown file each, beside this module; `$name` marks a value."""

from functools import cache
from pathlib import Path
from string import Template


@cache
def _template(name: str) -> Template:
    return Template((Path(__file__).parent / f"{name}.md").read_text("utf-8").rstrip("\n"))


def render(name: str, **values: str) -> str:
    """Template `name` with its values filled in. Raises KeyError when a value is missing."""
    return _template(name).substitute(values)
