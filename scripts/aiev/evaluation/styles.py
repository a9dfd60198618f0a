"""Prompt styles: how a benchmark's tasks are put to a model, and what of it is on record.

The words, what is prefilled, the stop strings, and how code is taken out of an answer decide scores
as much as a model does. A benchmark has its styles by name; `chat` is the one that all have.
"""

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_json
from aiev.core.settings import did_you_mean

CHAT = "chat"
"""The style of all benchmarks: words alone, nothing prefilled."""

PROMPT = "$prompt"
"""Stands on record for what a task says: data sets whose authors want them off the web stay so."""

Task = Mapping[str, Any]


def _nothing(_: Task) -> str:
    return ""


def _no_strings(_: Task) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Style:
    """A way to ask tasks.

    prompt: the question for a task. extract: the solution in an answer to it, "" for none; of what
    the model wrote, without what was prefilled. extraction: the latter in a word or two. code: the
    files that hold it; by default that of `extract`.
    prefill: the beginning of the answer, with which the model goes on; "" for none.
    stop: strings each of which ends an answer before it.
    alone: what is asked where an endpoint cannot go on with an answer; None where nothing is
    prefilled.
    """

    prompt: Callable[[Task], str]
    extract: Callable[[str, Task], str]
    extraction: str = "the benchmark's own"
    code: Sequence[str] = ()
    prefill: Callable[[Task], str] = _nothing
    stop: Callable[[Task], Sequence[str]] = _no_strings
    alone: "Style | None" = None

    def where(self, goes_on: bool) -> "Style":
        """The style as an endpoint can have it. goes_on: whether it goes on with an answer."""
        return self if goes_on or self.alone is None else self.alone


def style_of(
    styles: Mapping[str, Style], name: str, benchmark: str, key: str = "evaluation.style"
) -> Style:
    """The style of that name. Raises UserError, with the key of the config that names it, for one
    that the benchmark does not have."""
    if name not in styles:
        known = ", ".join(sorted(styles))
        hint = f"it has {known}; set evaluation.benchmarks.{benchmark}.style to one of them"
        raise UserError(
            f"the benchmark {benchmark} has no prompt style {name!r}",
            where=f"config: {key}",
            hint=did_you_mean(name, list(styles), hint),
        )
    return styles[name]


def record(name: str, style: Style, tasks: Sequence[Task], prefilled: bool) -> dict[str, Any]:
    """What score.json says of a style: {"name", "prefilled", "prompt", "prefill", "stop",
    "extraction"}, the last four each with its "sha256".

    prefilled: whether the answers went on from a prefill. Texts are the first task's, with
    "$prompt" in the place of its own words; digests are over the texts of all tasks in their order,
    and, of the extraction, over the syntax trees of its code without docstrings and imports.
    """
    asked = style.where(prefilled)
    stops = [list(asked.stop(task)) for task in tasks]
    return {
        "name": name,
        "prefilled": prefilled and any(map(asked.prefill, tasks)),
        "prompt": _on_record(asked.prompt, tasks),
        "prefill": _on_record(asked.prefill, tasks),
        "stop": {
            "strings": list(dict.fromkeys(each for strings in stops for each in strings)),
            "sha256": of_json(stops),
        },
        "extraction": {"way": asked.extraction, "sha256": _code_digest(asked)},
    }


def _on_record(text_of: Callable[[Task], str], tasks: Sequence[Task]) -> dict[str, str]:
    """The words around a problem, and the digest of all of it."""
    first = {**tasks[0], **dict.fromkeys(tasks[0].keys() & {"prompt", "assertion"}, PROMPT)}
    return {"text": text_of(first), "sha256": of_json([text_of(task) for task in tasks])}


def _code_digest(style: Style) -> str:
    """As staleness sees code (engine/codehash.py): an edit that remakes no score changes none."""
    trees = []
    for path in style.code or [inspect.getfile(style.extract)]:
        tree = ast.parse(Path(path).read_bytes())
        for node in ast.walk(tree):
            if isinstance(body := getattr(node, "body", None), list):
                node.body = [each for each in body if not _says_nothing(each)]
        trees.append(ast.unparse(tree))  # the same in all versions of Python
    return of_json(trees)


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    return isinstance(node, ast.Import | ast.ImportFrom)
