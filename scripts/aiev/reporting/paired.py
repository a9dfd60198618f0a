"""Two scores on the same tasks, task by task."""

from collections.abc import Mapping
from typing import Any

from aiev.evaluation.stats import Paired, comparison, stratified

FIELDS = ("base", "plus")
"""Of a score: the benchmark's own tests, and those with further ones."""

Score = Mapping[str, Any]


def compared(
    ours: Score, theirs: Score, names: tuple[str, str] = ("student", "base")
) -> dict[str, dict[str, Any] | None]:
    """{"base": ..., "plus": ... or None}, each {both, only_student, only_base, neither, difference,
    interval, mcnemar_p}: the difference of pass@1 with Newcombe's 95% interval, and the exact p of
    McNemar's test. names: of the two, in the keys.
    """
    return {
        field: _compared(ours, theirs, field, names) if ours["solved"][field] is not None else None
        for field in FIELDS
    }


POOLED = ("HumanEval", "MBPP")
"""Titles of the benchmarks that are pooled: Python functions, judged by EvalPlus's rules."""


def pooled(ours: Mapping[str, Score], theirs: Mapping[str, Score]) -> dict[str, Any] | None:
    """The two models over HumanEval and MBPP together: {"benchmarks", "tasks", "base", "plus"}, the
    last two each {only_student, only_base, difference, interval, mcnemar_p}; see
    `stats.stratified`. None where one of the two is missing. Of several of a title the one with
    further tests counts, and then the one with more tasks. ours, theirs: scores by benchmark.
    """
    chosen = []
    for title in POOLED:
        names = [name for name, score in ours.items() if score["title"] == title]
        if not names:
            return None
        chosen.append(max(names, key=lambda n: (ours[n]["plus"] is not None, ours[n]["tasks"])))
    found: dict[str, Any] = {
        "benchmarks": chosen,
        "tasks": sum(ours[name]["tasks"] for name in chosen),
    }
    for field in FIELDS:
        found[field] = None
        if all(ours[name]["solved"][field] is not None for name in chosen):
            strata = [counts_of(ours[name], theirs[name], field) for name in chosen]
            only = {
                "only_student": sum(counts.only_a for counts in strata),
                "only_base": sum(counts.only_b for counts in strata),
            }
            found[field] = {**only, **stratified(strata)}
    return found


def counts_of(ours: Score, theirs: Score, field: str) -> Paired:
    """How many of the tasks both solved, only ours, only theirs, and neither."""
    own, other = set(ours["solved"][field]), set(theirs["solved"][field])
    neither = ours["tasks"] - len(own | other)
    return Paired(len(own & other), len(own - other), len(other - own), neither)


def _compared(ours: Score, theirs: Score, field: str, names: tuple[str, str]) -> dict[str, Any]:
    counts = counts_of(ours, theirs, field)
    named = {f"only_{names[0]}": counts.only_a, f"only_{names[1]}": counts.only_b}
    return {"both": counts.both, **named, "neither": counts.neither, **comparison(counts)}
