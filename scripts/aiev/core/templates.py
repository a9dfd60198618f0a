"""Prompt templates: Markdown files in the `prompts/` folder of a package; `$name` marks a value."""

from functools import cache
from pathlib import Path
from string import Template

MANIFEST = "prompts.toml"
"""Marks a folder of templates as a prompt set of its own, one of several to choose from."""


@cache
def _template(path: Path) -> Template:
    return Template(path.read_text("utf-8").rstrip("\n"))


def render(module_file: str, name: str, **values: str) -> str:
    """Fill in the template prompts/<name>.md beside a module.

    module_file: the module's `__file__`. Raises KeyError when a value is missing.
    """
    return _template(Path(module_file).parent / "prompts" / f"{name}.md").substitute(values)
