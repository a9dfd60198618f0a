"""Training dialogues that pose or solve a duel's test problem once more.

Two seeds may yield one problem in almost the same words. The measure is that of the benchmarks:
normalised Levenshtein similarity, from the same threshold on.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import numpy
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from aiev.core.types import Dialogue
from aiev.languages.python.functions import BROKEN, normal_form, parse

BATCH = 64
"""Dialogues compared at once: bounds the matrix of similarities to some tens of megabytes."""

MARGIN = 1e-6
"""Below the threshold, for rapidfuzz: it rounds a cutoff of exactly 0.8 to 0 edits in 5 letters."""


def nearest_tests(
    dialogues: Sequence[Dialogue], tests: Sequence[Dialogue], threshold: float
) -> list[dict[str, Any] | None]:
    """For each dialogue the test problem that it repeats, or None.

    Compared are the problems' texts, the solutions without comments, docstrings and layout, and
    each function of the dialogue's solution with the test problem's entry point.
    Returns {"test": id, "field": "problem", "solution" or "function", "similarity"}; the first of
    those fields that reaches the threshold.
    """
    found: list[dict[str, Any] | None] = [None] * len(dialogues)
    targets = {
        "problem": [(t["id"], _problem(t)) for t in tests],
        "solution": [(t["id"], _solution(t)) for t in tests],
        "function": [(t["id"], f) for t in tests for f in _functions(t, t.get("entry_point"))],
    }
    for start in range(0, len(dialogues), BATCH):
        batch = list(enumerate(dialogues[start : start + BATCH], start))
        sources = {
            "problem": [(n, _problem(d)) for n, d in batch],
            "solution": [(n, _solution(d)) for n, d in batch],
            "function": [(n, f) for n, d in batch for f in _functions(d)],
        }
        for field, own in sources.items():
            for number, test, similarity in _pairs(own, targets[field], threshold):
                found[number] = found[number] or {
                    "test": test,
                    "field": field,
                    "similarity": similarity,
                }
    return found


def _pairs(
    own: Sequence[tuple[int, str]], targets: Sequence[tuple[str, str]], threshold: float
) -> Iterator[tuple[int, str, float]]:
    """(number of the dialogue, id of its nearest test, similarity) from the threshold on."""
    if not own or not targets:
        return
    scores = cdist(
        [text for _, text in own],
        [text for _, text in targets],
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=threshold - MARGIN,
        dtype=numpy.float64,  # in float32 a similarity of exactly 0.9 would fall below 0.9
    )
    best = scores.argmax(axis=1)
    for row, (number, text) in enumerate(own):
        similarity = float(scores[row, best[row]])
        if text and similarity >= threshold:
            yield number, targets[best[row]][0], similarity


def _problem(dialogue: Dialogue) -> str:
    return " ".join(dialogue["messages"][0]["content"].split())


def _solution(dialogue: Dialogue) -> str:
    return " ".join(normal_form(dialogue["solution"]).split())


def _functions(dialogue: Dialogue, name: str | None = None) -> Iterator[str]:
    """Normal form of each top-level function of the solution, or of the one called `name`."""
    try:
        nodes = parse(dialogue["solution"]).body
    except BROKEN:
        return
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and name in (None, node.name):
            yield " ".join(normal_form(ast.unparse(node)).split())
