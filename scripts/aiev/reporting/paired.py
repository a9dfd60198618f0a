"""Two scores on the same tasks, task by task."""

from collections.abc import Mapping
from typing import Any

from aiev.evaluation.stats import Paired, comparison

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


def counts_of(ours: Score, theirs: Score, field: str) -> Paired:
    """How many of the tasks both solved, only ours, only theirs, and neither."""
    own, other = set(ours["solved"][field]), set(theirs["solved"][field])
    neither = ours["tasks"] - len(own | other)
    return Paired(len(own & other), len(own - other), len(other - own), neither)


def _compared(ours: Score, theirs: Score, field: str, names: tuple[str, str]) -> dict[str, Any]:
    counts = counts_of(ours, theirs, field)
    named = {f"only_{names[0]}": counts.only_a, f"only_{names[1]}": counts.only_b}
    return {"both": counts.both, **named, "neither": counts.neither, **comparison(counts)}
