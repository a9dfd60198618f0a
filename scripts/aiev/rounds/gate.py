"""The gate: whether the student writes the next round's dialogues.

METHOD 2: where the student's pass@1 is above the teacher's, the next round is a self-learning one.
The paper's rule is the default; margin, confidence and minimum_problems ask for more.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import exp, lgamma, log
from typing import Any

from aiev.evaluation.stats import Paired, mcnemar_p, paired_interval

WORSE_BY = 0.05
"""How much worse the student is, in pass@1, in the second of the two cases of `luck`."""


def decide(
    duel: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    rule: Mapping[str, Any],
    self_learning: bool,
) -> dict[str, Any]:
    """Build gate.json.

    duel: duel.json of this round; before: gate.json of the previous round, None for the first.
    rule: the config's `gate`: margin, confidence, minimum_problems, revert.
    self_learning: whether an open gate lets the student write; if not, this is the teaching-only
    arm, and the gate records what it would have done.
    Keys: round, open, reason, numbers, rule, luck (see `luck`), and next: {stage, author, digest}
    of the following round.
    """
    counts = counts_of(duel)
    won, reason = _won(counts, rule)
    was_open = bool(before and before["open"])
    if was_open and not won:
        fell_behind = (
            rule["revert"] and reason != "too-few-problems" and counts and counts.difference < 0
        )
        is_open, reason = (False, "student-fell-behind") if fell_behind else (True, "stays-open")
    else:
        is_open = won
    return {
        "round": duel["round"],
        "open": is_open,
        "reason": reason,
        "self_learning": self_learning,
        "rule": dict(rule),
        "numbers": _numbers(duel),
        "luck": luck(counts, rule),
        "next": _next(duel, is_open and self_learning),
    }


def counts_of(duel: Mapping[str, Any]) -> Paired | None:
    """How many problems both models solved, only the student, only the teacher, neither; None for
    a duel without problems."""
    paired = duel["paired"]
    if paired is None:
        return None
    return Paired(*(paired[key] for key in ("both", "only_student", "only_teacher", "neither")))


def _won(counts: Paired | None, rule: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the student won by the rule, and why or why not."""
    if counts is None or counts.total < rule["minimum_problems"]:
        return False, "too-few-problems"
    lead = Fraction(counts.only_a - counts.only_b, counts.total)
    # As decimals: in binary, 0.1 is a little more than a tenth.
    margin = Fraction(str(rule["margin"]))
    if lead == margin == 0:
        return False, "tie"
    # Strictly above, as in the paper: a lead equal to the margin is not enough.
    if lead <= margin:
        return False, "student-not-ahead"
    if rule["confidence"] is not None and not _significant(counts, rule):
        return False, "not-significant"
    return True, "student-ahead"


def _significant(counts: Paired, rule: Mapping[str, Any]) -> bool:
    """Both have to agree: McNemar's exact test, which knows no margin, and the paired interval,
    which knows the margin and is approximate."""
    low, _ = paired_interval(counts, rule["confidence"])
    return mcnemar_p(counts.only_a, counts.only_b) < 1 - rule["confidence"] and low > rule["margin"]


def luck(counts: Paired | None, rule: Mapping[str, Any]) -> dict[str, float] | None:
    """How likely the rule opens the gate by chance in a duel like this one; None without problems.

    if_equal: probability of opening when the two models are equally good; if_worse: when the
    student's pass@1 is WORSE_BY lower. discordant: the share of problems that only one of them
    solves, taken from this duel as (n + 1) / (total + 2), since none seen does not mean none.
    """
    if counts is None:
        return None
    discordant = (counts.only_a + counts.only_b + 1) / (counts.total + 2)
    agreed = counts.both + counts.neither
    both_share = counts.both / agreed if agreed else 0.5

    def opens(only_student: int, only_teacher: int) -> bool:
        rest = counts.total - only_student - only_teacher
        both = round(rest * both_share)
        return _won(Paired(both, only_student, only_teacher, rest - both), rule)[0]

    def chance(difference: float) -> float:
        return round(chance_of_opening(counts.total, discordant, difference, opens), 6)

    return {
        "discordant": round(discordant, 6),
        "if_equal": chance(0.0),
        "if_worse": chance(-WORSE_BY),
        "worse_by": WORSE_BY,
    }


def chance_of_opening(
    problems: int, discordant: float, difference: float, opens: Callable[[int, int], bool]
) -> float:
    """Exact probability that `opens(only_student, only_teacher)` holds in a duel.

    Each of `problems` is, independently, solved by one model alone with probability `discordant`;
    `difference` is the student's true pass@1 less the teacher's. `opens` must not become false
    when a problem moves from the teacher to the student.
    """
    by_student = min(1.0, max(0.0, (discordant + difference) / 2 / discordant))
    total = 0.0
    for number in range(problems + 1):
        weight = _binomial(problems, number, discordant)
        # Terms this small cannot change the sixth place.
        if weight > 1e-12:
            first = _first(number, lambda k, n=number: opens(k, n - k))
            tail = sum(_binomial(number, k, by_student) for k in range(first, number + 1))
            total += weight * tail
    return min(1.0, total)


def _first(last: int, holds: Callable[[int], bool]) -> int:
    """The smallest k in 0..last for which `holds`, which is monotone; last + 1 when none does."""
    low, high = 0, last + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _binomial(total: int, successes: int, rate: float) -> float:
    if rate in (0.0, 1.0):
        return float(successes == total * rate)
    ways = lgamma(total + 1) - lgamma(successes + 1) - lgamma(total - successes + 1)
    return exp(ways + successes * log(rate) + (total - successes) * log(1 - rate))


def _numbers(duel: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that the decision rests on."""
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
