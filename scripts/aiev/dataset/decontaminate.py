"""Decontamination: drops dialogues that are too close to what a student is examined on.

Those close to a benchmark item are dropped. A dialogue's texts (problem, every code block,
every function and method in them, bare) are compared with a benchmark item's (prompt, docstring,
solution, prompt and solution, the function, bare) by normalised Levenshtein similarity, 1 - edits /
length of the longer, after runs of white space are made one space. Bare: without docstrings,
comments, decorators, type hints, and a leading `self` or `cls`. A problem that holds a prompt or a
docstring whole, or the words of a docstring before its examples, is as near as can be, however much
stands around it.

So are those that nearly repeat a test problem of a duel, see `near_tests`.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from aiev.core.errors import UserError
from aiev.core.log import Progress, log
from aiev.core.types import Dialogue
from aiev.dataset.near_tests import BATCH, MARGIN, nearest_tests
from aiev.languages.markdown import fenced
from aiev.languages.python.functions import BROKEN, normal_form, parse

REPORT_CUTOFF = 0.7
"""Similarities below count together in the report: this cutoff makes it about 5x faster."""


MIN_HELD = 40
"""Characters of the shortest text of a benchmark that a problem may not hold: "Add two numbers" is
anybody's."""


@dataclass(frozen=True)
class _Item:
    """One text of a benchmark problem."""

    task_id: str
    field: str
    text: str


def decontaminate(
    dialogues: Sequence[Dialogue],
    benchmark_texts: Sequence[tuple[str, str, str]],
    tests: Sequence[Dialogue],
    threshold: float,
    known: Mapping[str, Any] | None = None,
) -> tuple[list[Dialogue], dict[str, Any]]:
    """Drop the dialogues that have a text as near to a benchmark's as `threshold`, in (0, 1], and
    those that repeat one of `tests`. Returns the others, and the report.

    benchmark_texts: (task id, field, text) of the problems; a `function` is compared bare.
    tests: the duels' problems, of the same rounds as the dialogues.
    known: the report on the rounds before the last one, whose dialogues and tests come first.
    What was compared for it is not compared again, so that the work grows with the rounds and not
    with their square.
    Raises UserError without problems to compare with, and when no dialogue is left.
    """
    items = [item for row in benchmark_texts for item in _items(*row)]
    if not items:
        raise UserError("no benchmark problem to compare with", where="the benchmark files")
    before, old_tests = (known["compared"][n] if known else 0 for n in ("dialogues", "tests"))
    dropped = {row["id"]: row for row in known["dropped"]} if known else {}
    nearest = Counter(known["nearest_of_kept"] if known else {})
    earlier = [d for d in dialogues[:before] if d["id"] not in dropped]
    with Progress("decontaminate", len(dialogues) - before, unit="dialogue") as progress:
        for dialogue, why in _repeated(earlier, tests[old_tests:], threshold):
            dropped[dialogue["id"]] = why
            (similar,) = _nearest([dialogue], items, threshold)
            nearest[_bucket(similar["similarity"])] -= 1
        for dialogue, similarity, why in _compare(dialogues[before:], items, tests, threshold):
            if why:
                dropped[dialogue["id"]] = why
            else:
                nearest[_bucket(similarity)] += 1
            progress.step(note=f"{len(dropped)} dropped")
    kept = [d for d in dialogues if d["id"] not in dropped]
    _check_left(kept, len(dialogues), threshold)
    log.info("decontamination: %d kept, %d dropped", len(kept), len(dropped))
    return kept, {
        "threshold": threshold,
        "compared": {
            "problems": len({item.task_id for item in items}),
            "texts": len(items),
            "tests": len(tests),
            "dialogues": len(dialogues),
        },
        "dropped": sorted(dropped.values(), key=lambda row: row["id"]),
        "kept": len(kept),
        "nearest_of_kept": dict(+nearest),
    }


def _check_left(kept: Sequence[Dialogue], compared: int, threshold: float) -> None:
    if not kept:
        near = f"repeat a test problem or a benchmark's (similarity of {threshold} or more)"
        raise UserError(f"all {compared} dialogues {near}", hint="use other seeds")


def _repeated(
    dialogues: Sequence[Dialogue], tests: Sequence[Dialogue], threshold: float
) -> Iterator[tuple[Dialogue, dict[str, Any]]]:
    """The dialogues that repeat a test problem, each with its row of the report."""
    for dialogue, test in zip(dialogues, nearest_tests(dialogues, tests, threshold), strict=True):
        if test:
            yield dialogue, {"id": dialogue["id"], "reason": "test-problem", **test}


def _compare(
    dialogues: Sequence[Dialogue],
    items: Sequence[_Item],
    tests: Sequence[Dialogue],
    threshold: float,
) -> Iterator[tuple[Dialogue, float, dict[str, Any] | None]]:
    """Yield each dialogue with its similarity to the nearest benchmark item, and its row of the
    report if it is dropped."""
    repeated = {d["id"]: why for d, why in _repeated(dialogues, tests, threshold)}
    for start in range(0, len(dialogues), BATCH):
        batch = dialogues[start : start + BATCH]
        for dialogue, best in zip(batch, _nearest(batch, items, threshold), strict=True):
            # A benchmark's comes first, whatever tests later rounds bring.
            why = repeated.get(dialogue["id"])
            if best["similarity"] >= threshold:
                why = {"id": dialogue["id"], "reason": "near-benchmark", **best}
            yield dialogue, best["similarity"], why


def squeeze(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())


def _bucket(value: float) -> str:
    """`0.75-0.80`, or `below 0.70`."""
    low = int(value * 20 + 1e-9) / 20
    return f"{low:.2f}-{low + 0.05:.2f}" if low >= REPORT_CUTOFF else f"below {REPORT_CUTOFF:.2f}"


def _nearest(
    batch: Sequence[Dialogue], items: Sequence[_Item], threshold: float
) -> Iterator[dict[str, Any]]:
    """For each dialogue its nearest item: {task_id, field, text, similarity}."""
    texts = [(place, *pair) for place, d in enumerate(batch) for pair in texts_of(d)]
    scores = cdist(
        [text for _, _, text in texts],
        [item.text for item in items],
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=min(REPORT_CUTOFF, threshold) - MARGIN,
        dtype=numpy.float64,  # in float32 a similarity of exactly 0.9 would fall below 0.9
    )
    columns = scores.argmax(axis=1) if texts else []
    best: list[dict[str, Any]] = [{"similarity": 0.0} for _ in batch]
    for row, (place, name, _) in enumerate(texts):
        item, value = items[columns[row]], float(scores[row, columns[row]])
        if value > best[place]["similarity"]:
            found = {"task_id": item.task_id, "field": item.field, "text": name}
            best[place] = {**found, "similarity": value}
    held = _held(items)
    for found, dialogue in zip(best, batch, strict=True):
        yield _whole_item(dialogue, held) or found


def _held(items: Sequence[_Item]) -> list[tuple[str, _Item]]:
    """Texts that no problem may hold, in lower case, each with its item."""
    found = []
    for item in items:
        if item.field in ("prompt", "docstring"):
            words = item.text.casefold()
            spoken = words.partition(" >>>")[0] if item.field == "docstring" else words
            found += [(text, item) for text in {words, spoken} if len(text) >= MIN_HELD]
    return found


def _whole_item(dialogue: Dialogue, held: Sequence[tuple[str, _Item]]) -> dict[str, Any] | None:
    """The first item that the dialogue's problem holds whole."""
    for name, text in texts_of(dialogue):
        if name == "problem":
            text = text.casefold()
            for words, item in held:
                if words in text:
                    own = {"task_id": item.task_id, "field": item.field, "text": name}
                    return {**own, "similarity": 1.0}
    return None


def texts_of(dialogue: Dialogue) -> Iterator[tuple[str, str]]:
    """(what it is, squeezed text) of all that is compared; each text once, none empty."""
    seen = {""}
    for name, text in _texts(dialogue):
        text = squeeze(text)
        if text not in seen:
            seen.add(text)
            yield name, text


def _texts(dialogue: Dialogue) -> Iterator[tuple[str, str]]:
    for message in dialogue["messages"]:
        if message["kind"] == "problem":
            yield "problem", message["content"]
        for code in (block.text for block in fenced(message["content"])):
            yield f"{message['kind']} code", code
            yield from ((f"{message['kind']} function", text) for text in _functions(code))
    yield "solution code", dialogue["solution"]
    yield from (("solution function", text) for text in _functions(dialogue["solution"]))


def _functions(code: str, type_hints: bool = False) -> Iterator[str]:
    """Each function and method, bare; none when the code is broken."""
    try:
        for node in ast.walk(parse(code)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield _bare(node, type_hints)
    except BROKEN:
        return


def _bare(node: ast.FunctionDef | ast.AsyncFunctionDef, type_hints: bool = False) -> str:
    """A function's text without what may differ between copies of it: decorators, type hints, and
    that it is a method. Changes the node."""
    node.decorator_list = []
    if not type_hints:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
    leading = node.args.posonlyargs or node.args.args
    if leading and leading[0].arg in ("self", "cls"):
        del leading[0]
    return normal_form(ast.unparse(node))


def _items(task_id: str, field: str, text: str) -> Iterator[_Item]:
    texts = [text]
    if field == "function":
        # With type hints too: a dialogue's code that does not parse is compared as it stands.
        texts = [bare for hints in (True, False) for bare in list(_functions(text, hints))[:1]]
    for squeezed in map(squeeze, texts):
        if squeezed:
            yield _Item(task_id, field, squeezed)
