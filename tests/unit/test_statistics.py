"""Intervals: known values, and what holds for every count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.statistics import share, wilson_interval

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(successes, total, low, high):
    assert wilson_interval(successes, total) == pytest.approx((low, high), abs=5e-5)


def test_nothing_tried_says_nothing():
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(("successes", "total"), [(-1, 3), (4, 3), (1, 0)])
def test_impossible_counts(successes, total):
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, total)


@given(counts)
def test_the_share_lies_inside_and_the_ends_are_exact(count):
    successes, total = count
    low, high = wilson_interval(successes, total)
    assert 0 <= low <= successes / total <= high <= 1
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == total)


@given(counts)
def test_failures_mirror_successes(count):
    successes, total = count
    low, high = wilson_interval(successes, total)
    assert wilson_interval(total - successes, total) == pytest.approx((1 - high, 1 - low))


@given(counts)
def test_more_of_the_same_narrows_it(count):
    successes, total = count
    low, high = wilson_interval(successes, total)
    closer, nearer = wilson_interval(4 * successes, 4 * total)
    assert nearer - closer < high - low


def test_share_is_what_artifacts_hold():
    assert share(5, 20) == {
        "correct": 5,
        "total": 20,
        "pass@1": 0.25,
        "interval": [0.111862, 0.468701],
    }
    with pytest.raises(ValueError, match="nothing"):
        share(0, 0)
