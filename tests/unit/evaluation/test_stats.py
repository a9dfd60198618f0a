"""Intervals: known values, and what holds for every count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.evaluation.stats import mcnemar_p, mean_interval, paired_interval, share, wilson_interval

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


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (0, 6, 0.03125), (1, 9, 0.021484), (3, 3, 1.0)],
)
def test_mcnemar_s_exact_p(only_a, only_b, p):
    # Twice the binomial tail, by hand: (1, 9) is 2 x 11 / 1024.
    assert mcnemar_p(only_a, only_b) == pytest.approx(p, abs=1e-6)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_s_p_is_a_probability_and_takes_no_side(a, b):
    assert 0 < mcnemar_p(a, b) == mcnemar_p(b, a) <= 1
    assert mcnemar_p(a + 1, b) <= mcnemar_p(a, b) or a < b


@given(st.tuples(*[st.integers(0, 30)] * 3).filter(sum))
def test_the_paired_interval_holds_the_difference_and_mirrors(counts):
    ahead, behind, _ = counts
    total = sum(counts)
    low, high = paired_interval(ahead, behind, total)
    assert -1 <= low <= (ahead - behind) / total <= high <= 1
    if not ahead and not behind:
        assert (low, high) == (0, 0)
    narrow = paired_interval(ahead, behind, total, 0.5)
    assert low <= narrow[0] <= narrow[1] <= high


def test_the_paired_interval_is_about_the_normal_one_for_many_problems():
    low, high = paired_interval(300, 200, 1000)
    half = 1.96 * ((0.5 - 0.1**2) / 1000) ** 0.5
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.004)


@pytest.mark.parametrize("counts", [(-1, 0, 3), (2, 2, 3), (0, 0, 0)])
def test_counts_that_do_not_fit(counts):
    with pytest.raises(ValueError, match="ahead"):
        paired_interval(*counts)


def test_the_interval_of_a_mean():
    assert mean_interval([0.5] * 9) == (0.5, 0.5)
    low, high = mean_interval([0, 1] * 50)
    assert 0.38 < low < 0.45 < 0.55 < high < 0.62
    with pytest.raises(ValueError, match="nothing"):
        mean_interval([])
