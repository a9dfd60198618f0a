"""Verdicts from evidence, by policy: no model and no sandbox take part."""

from copy import deepcopy

import pytest

from aiev.recipes.verification.consensus import can_still_change
from aiev.recipes.verification.evidence import NOTHING
from aiev.recipes.verification.policies import Policy, judge, judged

TEST = {"text": "assert f(1) == 2", "held": True, "agreed": 3, "fails": True}
GOOD = {
    **NOTHING,
    "examples": {"found": 2, "held": 2, "agreed": 3, "flaw": ""},
    "tests": [TEST, {**TEST, "text": "assert f(2) == 3"}],
    "ended": True,
    "mutants": {"of": 10, "killed": 8, "survived": {"constant": 2}},
    "solutions": {"of": 4, "alike": 3},
    "inputs": {"of": 6, "alike": [[4, 4], [3, 4], [2, 2], [3, 3], [1, 4]]},
    "repetitions": {"of": 2, "same": 2},
}


@pytest.mark.parametrize("name", ["paper", "examples", "consensus"])
def test_good_evidence_is_enough_for_each_policy(name):
    assert judge(GOOD, Policy(policy=name)) == ""


def test_tests_that_nobody_confirms_are_not_called_missing():
    unconfirmed = [{"text": "assert f(1) == 3", "agreed": 1, "of": 3}]
    evidence = {**GOOD, "tests": [TEST], "unconfirmed_tests": unconfirmed}
    for name in ("paper", "examples", "consensus"):
        assert judge(evidence, Policy(policy=name)) == "unconfirmed"
    assert judge({**evidence, "ended": False}, Policy()) == "unfinished"
    assert judge({**GOOD, "unconfirmed_tests": unconfirmed}, Policy()) == ""


@pytest.mark.parametrize(
    ("path", "value", "reason", "first_policy"),
    [
        ("stopped", "no-code", "no-code", "paper"),
        ("tests", [TEST], "no-tests", "paper"),
        ("stub_passes", True, "vacuous", "paper"),
        ("repetitions.same", 1, "flaky", "paper"),
        ("ended", False, "unfinished", "examples"),
        ("problem", "left", "unfinished", "examples"),
        ("problem", "timed-out", "timed-out", "examples"),
        ("problem", "lost: out-of-memory", "check-lost", "examples"),
        ("draft", {"corrected": 4, "solutions": 4}, "corrected", "examples"),
        ("tests.0.held", False, "unfinished", "examples"),
        ("tests.0.fails", False, "vacuous", "examples"),
        ("bent", True, "bent", "examples"),
        ("against_the_text", ["reversed"], "not-as-asked", "examples"),
        ("examples.held", 1, "contract-broken", "examples"),
        ("examples.flaw", "contradictory", "contract-broken", "examples"),
        ("examples.found", 1, "contract-broken", "examples"),
        ("tests.1.agreed", 1, "unconfirmed", "consensus"),
        ("examples.agreed", 0, "unconfirmed", "consensus"),
        ("solutions.alike", 1, "disputed", "consensus"),
        ("inputs.alike", [[4, 4], [2, 4], [2, 3], [4, 4]], "disputed", "consensus"),
        ("mutants.killed", 4, "weak-tests", "consensus"),
    ],
)
def test_each_gap_has_its_reason_from_the_policy_that_looks_at_it(
    path, value, reason, first_policy
):
    evidence = deepcopy(GOOD)
    *parents, last = path.split(".")
    place = evidence
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[int(last) if last.isdigit() else last] = value
    if path == "examples.found":
        evidence["examples"]["held"], reason = 1, "no-contract"
    policies = ("paper", "examples", "consensus")
    for name in policies:
        looks = policies.index(name) >= policies.index(first_policy)
        assert judge(evidence, Policy(policy=name)) == (reason if looks else "")


def test_thresholds_are_settings():
    assert judge(GOOD, Policy(min_agreeing=4)) == "unconfirmed"
    assert judge(GOOD, Policy(min_killed=0.9)) == "weak-tests"
    assert judge(GOOD, Policy(min_alike=0.8)) == "disputed"
    assert judge(GOOD, Policy(min_tests=3)) == "no-tests"
    assert judge(GOOD, Policy(min_examples=3)) == "no-contract"
    corrected = {**GOOD, "draft": {"corrected": 1}}
    assert judge(corrected, Policy()) == ""
    assert judge(corrected, Policy(max_corrected=0)) == "corrected"


def test_a_dialogue_without_evidence_is_not_verified():
    """A recorded one, say, of a version that kept none."""
    row = {"id": "0-a", "verdict": "verified", "reason": ""}
    assert judged(row, Policy())["reason"] == "no-evidence"
    assert judged({**row, "evidence": GOOD}, Policy()) == {**row, "evidence": GOOD}
    assert (
        judged({**row, "verdict": "rejected", "reason": "no-code"}, Policy())["reason"] == "no-code"
    )


@pytest.mark.parametrize(
    ("agreed", "asked", "more"),
    [(0, 0, True), (1, 3, True), (0, 3, False), (2, 2, False), (1, 4, False)],
)
def test_no_more_solutions_are_asked_than_can_change_a_verdict(agreed, asked, more):
    assert can_still_change(agreed, asked, total=4, needed=2) is more


def test_the_share_of_changed_inputs_is_a_threshold_and_evidence_without_them_says_nothing():
    assert judge(GOOD, Policy(min_inputs_alike=0.81)) == "disputed"
    assert judge(GOOD, Policy(min_alike=0.25, min_inputs_alike=1)) == ""
    older = {key: value for key, value in GOOD.items() if key != "inputs"}
    for evidence in (older, {**GOOD, "inputs": NOTHING["inputs"]}):
        assert judge(evidence, Policy(min_inputs_alike=1)) == ""
