"""Verdicts from evidence, by policy: no model and no sandbox take part."""

from copy import deepcopy

import pytest

from aiev.recipes.verification.consensus import can_still_change
from aiev.recipes.verification.evidence import NOTHING
from aiev.recipes.verification.policies import Policy, judge, judged

TEST = {"text": "assert f(1) == 2", "held": True, "agreed": 3, "fails": True}


def voters(alike: str, kept: str = "", ran: str = "") -> list[dict]:
    """A letter for each voter: y where it is so. Without words, all keep the examples and run."""
    everyone = "y" * len(alike)
    return [
        {"kept": k == "y", "ran": r == "y", "alike": a == "y"}
        for k, r, a in zip(kept or everyone, ran or everyone, alike, strict=True)
    ]


def votes(*inputs: str) -> list[list[bool | None]]:
    """A word for each input, with a letter for each voter: the solution's output (y), another one
    (n) or none (-)."""
    said = {"y": True, "n": False, "-": None}
    return [[said[vote] for vote in row] for row in inputs]


GOOD = {
    **NOTHING,
    "examples": {"found": 2, "held": 2, "agreed": 3, "flaw": ""},
    "tests": [TEST, {**TEST, "text": "assert f(2) == 3"}],
    "ended": True,
    "mutants": {"of": 10, "killed": 8, "survived": {"constant": 2}},
    "solutions": {"of": 4, "alike": 3, "voters": voters("yyyn")},
    "inputs": {"of": 6, "votes": votes("yyyy", "yyyn", "yy--", "yyy-")},
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
        ("solutions.voters", voters("yynn"), "disputed", "consensus"),
        ("solutions.voters", voters("yyyy", kept="ynnn"), "unconfirmed", "consensus"),
        ("solutions.voters", voters("yyyy", ran="nnny"), "unconfirmed", "consensus"),
        ("solutions.voters", [], "unconfirmed", "consensus"),
        ("inputs.votes", votes("yyyy", "yynn"), "disputed", "consensus"),
        ("inputs.votes", votes("yyyy", "yyn-"), "disputed", "consensus"),
        ("mutants.killed", 4, "weak-tests", "consensus"),
        ("mutants", NOTHING["mutants"], "weak-tests", "consensus"),
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
    assert judge(corrected, Policy()) == "disputed"
    assert judge(corrected, Policy(min_alike_corrected=0.75)) == ""
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


def test_what_could_not_be_compared_is_no_agreement():
    some = {**GOOD, "inputs": {"of": 6, "votes": votes("yyyy", "yyyy", "yyyy", "yynn")}}
    assert judge(some, Policy(min_inputs_alike=0.75)) == ""
    assert judge(some, Policy(min_inputs_alike=0.76)) == "disputed"
    assert judge(some, Policy(min_alike=0.5, min_inputs=4)) == ""
    assert judge(some, Policy(min_alike=0.5, min_inputs=5)) == "unconfirmed"
    none = {**GOOD, "inputs": NOTHING["inputs"]}
    assert judge(none, Policy()) == "", "tests of a class, say, give no inputs"
    assert judge(none, Policy(min_inputs=1)) == "unconfirmed"
    unmade = {**GOOD, "mutants": NOTHING["mutants"]}
    assert judge(unmade, Policy(min_killed=0)) == ""
    alone = {**none, "solutions": NOTHING["solutions"]}
    assert judge(alone, Policy(min_agreeing=0)) == ""


def test_evidence_that_does_not_say_who_agreed_is_not_enough_for_consensus():
    """Recordings of before voters were kept apart, say."""
    older = {
        **GOOD,
        "solutions": {"of": 4, "distinct": 4, "alike": 4, "held": 4},
        "inputs": {"of": 2, "alike": [[4, 4], [4, 4]]},
    }
    assert judge(older, Policy()) == judge(older, Policy(min_agreeing=0)) == "no-evidence"
    assert judge(older, Policy(policy="examples")) == ""


# Problems of HumanEval as the audit on record found them.
NEXT_SMALLEST = {
    **GOOD,
    "solutions": {"voters": voters("yynn", kept="yynn", ran="yyyy")},
    "inputs": {"of": 16, "votes": votes("yyyy", *["yyny"] * 13, "yynn", "yyny")},
}
"""Right. Two independent solutions break the problem's own examples."""
IS_BORED = {
    **GOOD,
    "solutions": {"voters": voters("ynyy", kept="ynyy", ran="ynyy")},
    "inputs": {"of": 16, "votes": votes(*["ynyy"] * 16)},
    "draft": {"corrected": 1, "solutions": 4},
}
"""Wrong: an example was corrected to a mistake. The solution that breaks it only raises."""
ANTI_SHUFFLE = {
    **GOOD,
    "solutions": {"voters": voters("yyny", kept="yyny", ran="yyny")},
    "inputs": {"of": 16, "votes": votes("yyyy", "yynn", *["yyny"] * 14)},
}
"""Wrong. On one input out of 16, one of the solutions that keep the examples differs."""


def test_a_solution_that_breaks_the_contract_has_no_vote():
    assert judge(NEXT_SMALLEST, Policy()) == ""
    everyone = deepcopy(NEXT_SMALLEST)
    for voter in everyone["solutions"]["voters"]:
        voter["kept"] = True
    assert judge(everyone, Policy()) == "disputed"


def test_a_corrected_example_needs_all_that_run():
    """Also those that break it: they may be the ones that read the problem rightly."""
    assert judge(IS_BORED, Policy()) == "", "a known mistake: docs/verification.md"
    breaks_it = {**IS_BORED, "solutions": {"voters": voters("ynyy", kept="ynyy")}}
    assert judge(breaks_it, Policy()) == "disputed"
    assert judge({**breaks_it, "draft": {"corrected": 0}}, Policy()) == ""


def test_a_difference_on_one_mutated_input_disputes():
    assert judge(ANTI_SHUFFLE, Policy()) == "disputed"
    assert judge(ANTI_SHUFFLE, Policy(min_inputs_alike=0.8)) == ""
