"""The gate: the paper's rule, and what else may be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.evaluation.stats import share
from aiev.rounds.duel import paired
from aiev.rounds.gate import decide

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
def test_no_rule_opens_where_the_paper_s_does_not(both, student, teacher, neither):
    found = duel(both, student, teacher, neither)
    for rule in ({"margin": 0.1}, {"confidence": 0.9}, {"minimum_problems": 9}):
        assert decided(found)["open"] or not decided(found, **rule)["open"]
    numbers = decided(found)["numbers"]
    assert numbers["problems"] == both + student + teacher + neither
