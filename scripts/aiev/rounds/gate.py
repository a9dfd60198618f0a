"""The gate: whether the student teaches the next round.

METHOD 2: where the student's pass@1 is above the teacher's, the next round is a self-learning one.
The paper's rule is the default; margin, confidence and minimum_problems ask for more.
"""

from collections.abc import Mapping
from typing import Any

from aiev.evaluation.stats import mcnemar_p, paired_interval


def decide(
    duel: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    rule: Mapping[str, Any],
    self_learning: bool,
) -> dict[str, Any]:
    """gate.json.

    duel: duel.json of this round; before: gate.json of the one before, None for the first.
    rule: the config's `gate`: margin, confidence, minimum_problems, revert.
    self_learning: whether an open gate lets the student teach; else this is the teaching-only arm,
    in which the gate says what it would have done.
    Keys: round, open, reason (a word of `_reason`, or why it stays as it was), numbers, rule, next:
    {stage, author, digest} of the round to come.
    """
    won, reason = _won(duel, rule)
    was_open = bool(before and before["open"])
    if was_open and not won:
        enough = reason != "too-few-problems"
        fell = rule["revert"] and enough and duel["paired"]["difference"] < 0
        opened, reason = (False, "student-fell-behind") if fell else (True, "stays-open")
    else:
        opened = won
    return {
        "round": duel["round"],
        "open": opened,
        "reason": reason,
        "self_learning": self_learning,
        "rule": dict(rule),
        "numbers": _numbers(duel),
        "next": _next(duel, opened and self_learning),
    }


def _won(duel: Mapping[str, Any], rule: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the student won by the rule, and why or why not."""
    paired, problems = duel["paired"], duel["counts"]["compared"]
    if paired is None or problems < rule["minimum_problems"]:
        return False, "too-few-problems"
    if paired["difference"] == 0 and rule["margin"] == 0:
        return False, "tie"
    # Strictly above, as in the paper: a lead of just the margin is none.
    if paired["difference"] <= rule["margin"]:
        return False, "student-not-ahead"
    if rule["confidence"] is not None and not _significant(paired, problems, rule):
        return False, "not-significant"
    return True, "student-ahead"


def _significant(paired: Mapping[str, Any], problems: int, rule: Mapping[str, Any]) -> bool:
    """Both have to say so: McNemar's exact test, which holds for few problems but knows no margin,
    and the bootstrap interval, which knows the margin but is too narrow for few."""
    ahead, behind = paired["only_student"], paired["only_teacher"]
    low, _ = paired_interval(ahead, behind, problems, rule["confidence"])
    # Not the p of duel.json, which is rounded.
    return mcnemar_p(ahead, behind) < 1 - rule["confidence"] and low > rule["margin"]


def _numbers(duel: Mapping[str, Any]) -> dict[str, Any]:
    """What was decided from."""
    return {
        "problems": duel["counts"]["compared"],
        **{name: duel["models"][name]["greedy"] for name in ("teacher", "student")},
        "paired": duel["paired"],
    }


def _next(duel: Mapping[str, Any], by_student: bool) -> dict[str, str]:
    author = "student" if by_student else "teacher"
    return {
        "stage": "self-learning" if by_student else "teaching",
        "author": author,
        "digest": duel["models"][author]["digest"],
    }
