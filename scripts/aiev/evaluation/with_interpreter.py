"""What a model is asked where it may run code before it answers."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from aiev.evaluation.styles import Style

REQUEST = "{problem}\n\nRun your solution with a few tests, and end with the code that passes them."


def asking_for_runs(style: Style) -> Style:
    """The style's words with a request to run the solution. Nothing is prefilled, as the model is
    to run code before it answers, and no string stops an answer."""
    alone = style.where(goes_on=False)
    return Style(
        lambda task: REQUEST.replace("{problem}", alone.prompt(task)),
        alone.extract,
        f"{alone.extraction}; of an answer without any, of what was run, the last first",
        alone.code or (inspect.getfile(alone.extract),),
    )


def as_asked(style: Style, rows: Iterable[Mapping[str, Any]]) -> Style:
    """The style by which rows of samples.jsonl came about, of which those with the interpreter on
    tell their `runs`."""
    return asking_for_runs(style) if any("runs" in row for row in rows) else style
