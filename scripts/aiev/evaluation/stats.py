"""Confidence intervals and tests for pass rates, of one model and of two on the same problems."""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist
from typing import NamedTuple


class Paired(NamedTuple):
    """Outcomes of models A and B on the same problems: how many both solved, only A, only B, and
    neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def difference(self) -> float:
        """A's pass rate less B's."""
        return (self.only_a - self.only_b) / self.total


def wilson_interval(successes: float, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion, (low, high) within [0, 1].

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927), pp. 209-212; without continuity correction. Unlike the interval from the standard
    error it does not shrink to a point at 0 of n and n of n, and it holds for small n.
    With total 0 it is (0, 1). Raises ValueError when successes is not within 0..total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / total
    weight = z * z / total
    centre = (rate + weight / 2) / (1 + weight)
    half = z * sqrt(rate * (1 - rate) / total + weight / total / 4) / (1 + weight)
    # At the ends the bound is 0 or 1 exactly; rounding would miss it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a mean over problems, each with a pass rate in [0, 1], such as that of k samples.

    Wilson's, with the mean in place of the proportion: the variance of numbers in [0, 1] with mean
    p is at most p(1 - p), so the interval is wide enough, and never a point.
    Raises ValueError for no value.
    """
    if not values:
        raise ValueError("the mean of no values")
    return wilson_interval(min(sum(values), len(values)), len(values), confidence)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test, from the problems that only one of two models solved.

    Q. McNemar, Psychometrika 12 (1947), pp. 153-157, with the binomial distribution in place of
    the chi-squared approximation, as there are few such problems. 1 without any.
    Raises ValueError for a negative count.
    """
    if min(only_a, only_b) < 0:
        raise ValueError(f"counts of {only_a} and {only_b}")
    total = only_a + only_b
    tail = sum(comb(total, k) for k in range(min(only_a, only_b) + 1))
    # Integers divide exactly where 2**total would overflow a float.
    return min(1.0, 2 * tail / 2**total)


def paired_interval(counts: Paired, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the difference A - B of two models' pass rates on the same problems.

    R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17 (1998), pp. 2635-2650, method 10: the Wilson
    intervals of the two rates, combined with their continuity-corrected correlation. It does not
    shrink to a point where the models never differ, and covers at small n.
    Raises ValueError for a negative count, or without problems.
    """
    if min(counts) < 0 or not counts.total:
        raise ValueError(f"impossible counts: {counts}")
    total = counts.total
    solved_a, solved_b = counts.both + counts.only_a, counts.both + counts.only_b
    rate_a, rate_b = solved_a / total, solved_b / total
    low_a, high_a = wilson_interval(solved_a, total, confidence)
    low_b, high_b = wilson_interval(solved_b, total, confidence)
    phi = _correlation(counts)

    def distance(x: float, y: float) -> float:
        return sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    low = counts.difference - distance(rate_a - low_a, high_b - rate_b)
    high = counts.difference + distance(rate_b - low_b, high_a - rate_a)
    return max(-1.0, low), min(1.0, high)


def _correlation(counts: Paired) -> float:
    """Newcombe's phi: a positive numerator is lowered by n / 2, but not below 0."""
    a, b, c, d = counts
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if not margins:
        return 0.0
    numerator: float = a * d - b * c
    if numerator > 0:
        numerator = max(0.0, numerator - counts.total / 2)
    return numerator / sqrt(margins)


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that one of k samples is right, from `correct` of `samples`.

    M. Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374, section
    2.1. Raises ValueError unless 0 <= correct <= samples and 1 <= k <= samples.
    """
    if not (0 <= correct <= samples and 1 <= k <= samples):
        raise ValueError(f"pass@{k} of {correct} in {samples}")
    return 1 - comb(samples - correct, k) / comb(samples, k)


def share(successes: int, total: int) -> dict[str, float | int | list[float]]:
    """A proportion as artifacts hold it: `correct`, `total`, `pass@1`, `interval` (Wilson, 95%).

    Rounded to six places, so that the last bit of a square root changes no artifact.
    Raises ValueError when total is 0.
    """
    if total == 0:
        raise ValueError("a share of nothing")
    return {
        "correct": successes,
        "total": total,
        "pass@1": round(successes / total, 6),
        "interval": rounded(wilson_interval(successes, total)),
    }


def comparison(counts: Paired) -> dict[str, float | list[float]]:
    """A paired comparison as artifacts hold it: `difference`, `interval` (Newcombe, 95%) and
    `mcnemar_p`, rounded to six places."""
    return {
        "difference": round(counts.difference, 6),
        "interval": rounded(paired_interval(counts)),
        "mcnemar_p": round(mcnemar_p(counts.only_a, counts.only_b), 6),
    }


def stratified(strata: Sequence[Paired]) -> dict[str, float | list[float]]:
    """A paired comparison over several sets of problems, as `comparison` gives one.

    Each set counts by its size, so that the difference is that of all problems together. The
    interval is Newcombe's of each set, recovered and added up (MOVER: G. Y. Zou, Biometrical
    Journal 50 (2008), pp. 1-12): sets of other difficulty widen it less than if they were one. The
    p is McNemar's exact one of all problems that one model alone solved, each of which is either
    model's with the chance of a half, whatever its set. Raises ValueError without problems.
    """
    total = sum(counts.total for counts in strata)
    if not total:
        raise ValueError("no problems to compare on")
    below = above = difference = 0.0
    for counts in strata:
        weight, (low, high) = counts.total / total, paired_interval(counts)
        difference += weight * counts.difference
        below += (weight * (counts.difference - low)) ** 2
        above += (weight * (high - counts.difference)) ** 2
    only_a, only_b = (sum(getattr(each, name) for each in strata) for name in ("only_a", "only_b"))
    return {
        "difference": round(difference, 6),
        "interval": rounded(
            (max(-1.0, difference - sqrt(below)), min(1.0, difference + sqrt(above)))
        ),
        "mcnemar_p": round(mcnemar_p(only_a, only_b), 6),
    }


def rounded(interval: tuple[float, float]) -> list[float]:
    """An interval as artifacts hold it."""
    return [round(bound, 6) for bound in interval]
