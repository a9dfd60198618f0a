"""Intervals for shares: how far a score of so few tasks can be trusted."""

from math import sqrt

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
