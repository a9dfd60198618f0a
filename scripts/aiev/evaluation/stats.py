"""Intervals and tests: how far a score of so few tasks can be trusted, and a lead of one model."""

from collections.abc import Sequence
from math import comb, sqrt

Z_95 = 1.959963984540054
"""The normal distribution's 97.5% quantile."""


def wilson_interval(successes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for a share, (low, high) within [0, 1].

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927), pp. 209-212; without continuity correction. Unlike the interval from the standard
    error it does not shrink to a point at 0 of n and n of n, and it holds for small n.
    Nothing tried: (0, 1). Raises ValueError when successes is not within 0..total.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if total == 0:
        return 0.0, 1.0
    share = successes / total
    weight = z * z / total
    centre = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / total + weight / total / 4) / (1 + weight)
    # At the ends the bound is 0 or 1 exactly; rounding would miss it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return low, high


def share(successes: int, total: int) -> dict[str, float | int | list[float]]:
    """A share as the artifacts hold it: `correct`, `total`, `pass@1`, `interval` (Wilson, 95%).

    Rounded to six places, so that the last bit of a square root moves no artifact.
    Raises ValueError when total is 0.
    """
    if total == 0:
        raise ValueError("a share of nothing")
    return {
        "correct": successes,
        "total": total,
        "pass@1": round(successes / total, 6),
        "interval": [round(bound, 6) for bound in wilson_interval(successes, total)],
    }


RESAMPLES = 10_000
"""Draws of the bootstrap: an end of a 95% interval then moves by about 0.01 of its width."""


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test, from the problems that just one of two models solved.

    Q. McNemar, Psychometrika 12 (1947), pp. 153-157, by the binomial distribution in place of its
    approximation, as there are few such problems: twice the chance that the rarer side is as rare,
    at most 1. None at all: 1. Raises ValueError for a negative count.
    """
    if min(only_a, only_b) < 0:
        raise ValueError(f"counts of {only_a} and {only_b}")
    total = only_a + only_b
    tail = sum(comb(total, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**total)


def paired_interval(
    ahead: int, behind: int, total: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of the difference of two models' shares on the same problems.

    ahead, behind: problems that only the first, only the second solved, of `total`.
    The percentile interval (B. Efron, Annals of Statistics 7 (1979), pp. 1-26): problems are drawn
    anew with replacement, both models' outcomes together, which is a multinomial draw of the three
    counts. The same numbers each time: the generator is seeded.
    Raises ValueError for counts that do not fit, or for no problem.
    """
    if min(ahead, behind) < 0 or not 0 < total >= ahead + behind:
        raise ValueError(f"{ahead} ahead and {behind} behind of {total}")
    import numpy

    shares = [ahead / total, behind / total, (total - ahead - behind) / total]
    drawn = numpy.random.default_rng(0).multinomial(total, shares, RESAMPLES)
    differences = (drawn[:, 0] - drawn[:, 1]) / total
    edge = (1 - confidence) / 2
    low, high = numpy.quantile(differences, [edge, 1 - edge])
    return float(low), float(high)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over problems, each with a value in [0, 1].

    Raises ValueError for no value.
    """
    if not values:
        raise ValueError("a mean of nothing")
    import numpy

    found = numpy.asarray(values, dtype=float)
    drawn = numpy.random.default_rng(0).integers(0, len(found), (RESAMPLES, len(found)))
    edge = (1 - confidence) / 2
    low, high = numpy.quantile(found[drawn].mean(axis=1), [edge, 1 - edge])
    return float(low), float(high)
