"""The gate: the paper's rule, and what else may be asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.evaluation.stats import share
from aiev.rounds.duel import paired
from aiev.rounds.gate import chance_of_opening, decide

RULE = {"margin": 0, "confidence": None, "minimum_problems": 1, "revert": False}
OPEN, SHUT = {"open": True}, {"open": False}


def duel(both=0, student=0, teacher=0, neither=0):
    """A duel in which so many problems were solved by both, by the student alone, and so on."""
    solved = [(1, 1)] * both + [(0, 1)] * student + [(1, 0)] * teacher + [(0, 0)] * neither
    names = ("teacher", "student")
    rows = [
        {m: {"greedy": "passed" if s else "failed"} for m, s in zip(names, pair, strict=True)}
        for pair in solved
    ]
    total = len(rows)
    passed = {"teacher": both + teacher, "student": both + student}
    models = {
        m: {"digest": f"sha of {m}", "greedy": share(passed[m], total) if total else None}
        for m in names
    }
    return {"round": 2, "counts": {"compared": total}, "models": models, "paired": paired(rows)}


def decided(found, before=None, self_learning=True, **rule):
    return decide(found, before, {**RULE, **rule}, self_learning)


@pytest.mark.parametrize(
    ("counts", "opened", "reason"),
    [
        ({"both": 3, "student": 1}, True, "student-ahead"),
        ({"both": 3, "teacher": 1}, False, "student-not-ahead"),
        ({"both": 3, "student": 1, "teacher": 1}, False, "tie"),
        ({"both": 4}, False, "tie"),
        ({"neither": 4}, False, "tie"),
        ({}, False, "too-few-problems"),
    ],
)
def test_the_paper_s_rule(counts, opened, reason):
    gate = decided(duel(**counts))
    assert (gate["open"], gate["reason"]) == (opened, reason)
    author = "student" if opened else "teacher"
    stage = "self-learning" if opened else "teaching"
    assert gate["next"] == {"stage": stage, "author": author, "digest": f"sha of {author}"}


def test_a_lead_of_just_the_margin_is_none():
    found = duel(both=3, student=1)
    assert not decided(found, margin=0.25)["open"]
    assert decided(found, margin=0.24)["open"]


def test_few_problems_are_too_few():
    found = duel(both=3, student=1)
    assert decided(found, minimum_problems=4)["open"]
    assert decided(found, minimum_problems=5)["reason"] == "too-few-problems"


def test_a_significant_win():
    # McNemar's p is 0.0625 for five to none, and 0.03125 for six.
    assert decided(duel(both=5, student=5), confidence=0.95)["reason"] == "not-significant"
    assert decided(duel(both=5, student=6), confidence=0.95)["open"]
    # Significant against nothing, but not against the margin.
    wide = duel(both=60, student=8)
    assert decided(wide, confidence=0.95)["open"]
    assert decided(wide, confidence=0.95, margin=0.1)["reason"] == "not-significant"


def test_a_p_that_rounds_to_nothing_is_not_nothing():
    found = duel(student=23)
    assert found["paired"]["mcnemar_p"] == 0 and 2 / 2**23 > 1e-7
    assert decided(found, confidence=0.9999999)["reason"] == "not-significant"


def test_an_open_gate_stays_open_unless_it_may_revert():
    behind, level = duel(teacher=1), duel(both=1)
    assert decided(behind, OPEN)["reason"] == "stays-open"
    assert decided(behind, OPEN)["next"]["author"] == "student"
    assert decided(behind, OPEN, revert=True)["reason"] == "student-fell-behind"
    assert not decided(behind, OPEN, revert=True)["open"]
    assert decided(level, OPEN, revert=True)["open"], "level is not behind"
    assert decided(duel(), OPEN, revert=True)["open"], "nor is a duel over nothing"
    assert not decided(behind, SHUT)["open"]
    few = decided(behind, OPEN, revert=True, minimum_problems=2)
    assert few["open"] and few["reason"] == "stays-open", "too few problems to shut it, too"


def test_the_teaching_only_arm_says_what_it_would_have_done():
    gate = decided(duel(student=1), self_learning=False)
    assert gate["open"] and gate["next"]["author"] == "teacher"


@given(*[st.integers(0, 12)] * 4)
@settings(max_examples=50, deadline=None)
def test_no_rule_opens_where_the_paper_s_does_not(both, student, teacher, neither):
    found = duel(both, student, teacher, neither)
    for rule in ({"margin": 0.1}, {"confidence": 0.9}, {"minimum_problems": 9}):
        assert decided(found)["open"] or not decided(found, **rule)["open"]
    numbers = decided(found)["numbers"]
    assert numbers["problems"] == both + student + teacher + neither


def test_the_paper_s_rule_opens_by_luck():
    """A published-size duel: 180 problems, the student right alone on 10%, the teacher on 15%."""
    worse = chance_of_opening(180, 0.25, -0.05, lambda student, teacher: student > teacher)
    assert worse == pytest.approx(0.077, abs=1e-3)
    assert 1 - (1 - worse) ** 10 == pytest.approx(0.55, abs=0.01)
    equal = chance_of_opening(180, 0.25, 0.0, lambda student, teacher: student > teacher)
    assert equal == pytest.approx(0.47, abs=0.001)


def test_the_chance_of_opening_is_that_of_simulated_duels():
    import numpy

    drawn = numpy.random.default_rng(0).multinomial(40, [0.12, 0.18, 0.7], 20_000)
    simulated = (drawn[:, 0] > drawn[:, 1] + 2).mean()
    found = chance_of_opening(40, 0.3, -0.06, lambda student, teacher: student > teacher + 2)
    assert found == pytest.approx(simulated, abs=0.01)


def test_a_gate_says_how_likely_luck_opens_it():
    found = duel(both=60, student=18, teacher=27, neither=75)
    lax, strict = decided(found)["luck"], decided(found, confidence=0.95)["luck"]
    assert lax["discordant"] == pytest.approx(46 / 182, abs=1e-6)
    assert lax["if_worse"] < lax["if_equal"] < 0.5
    assert strict["if_equal"] < 0.025 and strict["if_worse"] < 0.001
    assert decided(duel())["luck"] is None
    # Models that never differed may still differ next time.
    assert 0 < decided(duel(both=4))["luck"]["if_equal"] < 0.5


@given(st.integers(1, 12), st.floats(0.01, 1), st.floats(-1, 1))
def test_a_chance_is_a_probability(problems, discordant, difference):
    found = chance_of_opening(problems, discordant, difference, lambda s, t: s > t)
    assert 0 <= found <= 1
