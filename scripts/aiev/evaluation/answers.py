"""Answers that could not be used, counted by reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aiev.llm.responses import NO_ANSWER, is_cut_off

CUT_OFF = "cut-off"
"""Of an answer that the limit of tokens ended, with more room too."""


def unusable(row: Mapping[str, Any]) -> str | None:
    """Why the answer of a row has no solution whatever it holds: "cut-off", "refused",
    "context-full", "request-failed"; None for a whole answer."""
    reason = row["finish_reason"]
    if reason in NO_ANSWER:
        return reason
    return CUT_OFF if is_cut_off(reason) else None


def counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many answers were asked for, how many of them again with more room, and how many could
    not be used, by reason; in the order of the words, without those that are 0 beside "asked"."""
    found: Counter[str] = Counter(asked=0)
    for row in rows:
        found["asked"] += 1
        found["asked-again"] += row["asked_again"]
        if reason := unusable(row):
            found[reason] += 1
    return {name: n for name, n in sorted(found.items()) if n or name == "asked"}
