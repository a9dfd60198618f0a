"""Intervals and tests: published values, scipy's, and properties that hold for every count."""

from math import factorial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from aiev.evaluation.stats import (
    Paired,
    comparison,
    mcnemar_p,
    mean_interval,
    paired_interval,
    pass_at_k,
    share,
    stratified,
    wilson_interval,
)

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


@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_of_a_proportion_is_scipy_s(count, confidence):
    successes, total = count
    peer = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    found = wilson_interval(successes, total, confidence)
    assert found == pytest.approx((peer.low, peer.high), abs=1e-9)


def test_without_trials_the_interval_is_everything():
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
def test_mcnemar_s_p_is_scipy_s_binomial_test(a, b):
    peer = binomtest(a, a + b).pvalue if a + b else 1.0
    assert mcnemar_p(a, b) == pytest.approx(peer, rel=1e-9)
    assert mcnemar_p(a, b) == mcnemar_p(b, a)


def test_mcnemar_s_p_of_more_pairs_than_a_float_can_hold_a_power_of():
    assert 0 < mcnemar_p(1000, 1200) < 1e-4


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), pp. 2635-2650, method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((0, 30, 0, 0), 0.8395, 1.0),
    ],
)
def test_published_intervals_of_paired_differences(table, low, high):
    assert paired_interval(Paired(*table)) == pytest.approx((low, high), abs=1e-4)


tables = st.tuples(*[st.integers(0, 30)] * 4).filter(sum)


@given(tables)
def test_the_paired_interval_holds_the_difference_mirrors_and_narrows(table):
    counts = Paired(*table)
    low, high = paired_interval(counts)
    assert -1 <= low <= counts.difference <= high <= 1
    mirrored = Paired(counts.both, counts.only_b, counts.only_a, counts.neither)
    assert paired_interval(mirrored) == pytest.approx((-high, -low))
    narrow = paired_interval(counts, 0.5)
    assert low <= narrow[0] <= narrow[1] <= high


@given(tables)
def test_the_paired_interval_is_never_a_point(table):
    low, high = paired_interval(Paired(*table))
    assert high - low > 0.05


COVERED = [(0.3, 0.1, 0.3, 0.3), (0.4, 0.1, 0.1, 0.4), (0.1, 0.2, 0.4, 0.3), (0.7, 0.1, 0.1, 0.1)]


@pytest.mark.parametrize("chances", COVERED)
@pytest.mark.parametrize("total", [5, 10, 20])
def test_the_paired_interval_covers_the_true_difference(chances, total):
    """Exact coverage: the probability of each possible table, summed where the interval is right.

    The bootstrap that this interval replaced covers 72% at n = 5 and 90% at n = 10."""
    truth, covered = chances[1] - chances[2], 0.0
    for table in _tables(total):
        low, high = paired_interval(Paired(*table))
        if low <= truth <= high:
            ways = factorial(total)
            probability = 1.0
            for count, chance in zip(table, chances, strict=True):
                ways //= factorial(count)
                probability *= chance**count
            covered += ways * probability
    assert covered >= 0.93


def _tables(total):
    for a in range(total + 1):
        for b in range(total - a + 1):
            yield from ((a, b, c, total - a - b - c) for c in range(total - a - b + 1))


def test_the_paired_interval_is_about_the_normal_one_for_many_problems():
    low, high = paired_interval(Paired(250, 300, 200, 250))
    half = 1.96 * ((0.5 - 0.1**2) / 1000) ** 0.5
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.004)


@pytest.mark.parametrize("table", [(0, -1, 0, 3), (0, 0, 0, 0)])
def test_counts_that_cannot_be(table):
    with pytest.raises(ValueError, match="impossible counts"):
        paired_interval(Paired(*table))


def test_a_comparison_is_what_artifacts_hold():
    found = comparison(Paired(36, 12, 2, 0))
    assert found == {"difference": 0.2, "interval": [0.05693, 0.340428], "mcnemar_p": 0.012939}


def test_the_interval_of_a_mean_is_never_a_point():
    assert mean_interval([1, 1]) == wilson_interval(2, 2) == pytest.approx((0.342, 1), abs=1e-3)
    low, high = mean_interval([0.5] * 9)
    assert 0 < low < 0.5 < high < 1
    low, high = mean_interval([0, 1] * 50)
    assert 0.38 < low < 0.45 < 0.55 < high < 0.62
    # A sum that rounding takes above the number of problems is all of them.
    assert mean_interval([0.1 + 0.2 + 0.7] * 10)[1] == 1
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_pass_at_k_is_the_chance_that_one_of_k_drawn_samples_is_right():
    from itertools import combinations

    for samples in range(1, 7):
        for correct in range(samples + 1):
            for k in range(1, samples + 1):
                draws = list(combinations([True] * correct + [False] * (samples - correct), k))
                share_of_draws = sum(any(draw) for draw in draws) / len(draws)
                assert pass_at_k(samples, correct, k) == pytest.approx(share_of_draws)
    with pytest.raises(ValueError):
        pass_at_k(3, 1, 4)


def test_strata_of_equal_problems_are_as_one_set_would_be():
    """Its difference and p, and nearly its interval; a set alone is as `comparison` gives it."""
    one = Paired(20, 15, 5, 60)
    assert stratified([one]) == comparison(one)
    found = stratified([one, one])
    whole = comparison(Paired(40, 30, 10, 120))
    assert found["difference"] == whole["difference"] and found["mcnemar_p"] == whole["mcnemar_p"]
    assert found["interval"] == pytest.approx(whole["interval"], abs=0.01)


def test_strata_count_by_their_size():
    found = stratified([Paired(0, 10, 0, 0), Paired(0, 0, 9, 81)])
    assert found["difference"] == pytest.approx((10 - 9) / 100)
    low, high = found["interval"]
    assert -1 <= low < found["difference"] < high <= 1
    with pytest.raises(ValueError):
        stratified([])


@pytest.mark.parametrize("seed", range(3))
def test_the_stratified_interval_covers(seed):
    """Two sets of other difficulty, the true difference 10 points: 19 of 20 intervals hold it."""
    random, held, trials = Random(seed), 0, 400
    for _ in range(trials):
        strata = []
        for size, both, only_a, only_b in ((40, 0.1, 0.15, 0.05), (90, 0.6, 0.2, 0.1)):
            words = random.choices(
                "abcd", [both, only_a, only_b, 1 - both - only_a - only_b], k=size
            )
            strata.append(Paired(*(words.count(word) for word in "abcd")))
        low, high = stratified(strata)["interval"]
        held += low <= 0.1 <= high
    assert 0.92 <= held / trials <= 0.99
