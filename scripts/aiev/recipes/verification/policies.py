"""Policies: what evidence makes a dialogue verified.

Pure functions, so that the dialogues of a run can be judged again under another policy without a
call to a model or the sandbox.
  paper      the program passed, at least two tests ran, a stub fails them, repetitions agree
  examples   also: the tests came to their end, the problem's examples hold, nothing was bent, and
             the solution uses what the problem says
  consensus  also: independent solutions confirm every test, most of them give the same outputs as
             the solution, on mutated inputs too, and the tests kill mutants
"""

from collections.abc import Mapping
from typing import Any

from aiev.recipes.verification.settings import Policy

POLICIES = ("paper", "examples", "consensus")


def judge(evidence: Mapping[str, Any], policy: Policy) -> str:
    """Why the dialogue is not verified under the policy; "" when it is.

    Reasons: what stopped it (no-code, cut-off, unsolved-failed, ...), no-tests, vacuous, flaky,
    unfinished, timed-out, check-lost, bent, no-contract, contract-broken, corrected, not-as-asked,
    unconfirmed, disputed, weak-tests.
    """
    if evidence["stopped"]:
        return evidence["stopped"]
    reason = _paper(evidence, policy)
    if not reason and policy.policy != "paper":
        reason = _examples(evidence, policy)
    if not reason and policy.policy == "consensus":
        reason = _consensus(evidence, policy)
    return reason


def judged(dialogue: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """The dialogue with the policy's verdict. One that passed without evidence, as a recorded one
    may have, is not verified."""
    if "evidence" in dialogue:
        reason = judge(dialogue["evidence"], policy)
    else:
        reason = dialogue["reason"] or "no-evidence"
    return {**dialogue, "verdict": "rejected" if reason else "verified", "reason": reason}


def _paper(evidence: Mapping[str, Any], policy: Policy) -> str:
    if len(evidence["tests"]) < policy.min_tests:
        few = "unconfirmed" if evidence.get("unconfirmed_tests") else "no-tests"
        return _unfinished(evidence) or few
    if evidence["stub_passes"] or not any(test["fails"] for test in evidence["tests"]):
        return "vacuous"
    repetitions = evidence["repetitions"]
    return "flaky" if repetitions["same"] < repetitions["of"] else ""


def _examples(evidence: Mapping[str, Any], policy: Policy) -> str:
    examples = evidence["examples"]
    if unfinished := _unfinished(evidence):
        return unfinished
    if sum(test["fails"] for test in evidence["tests"]) < policy.min_tests:
        return "vacuous"
    if evidence["bent"]:
        return "bent"
    if examples["flaw"] == "contradictory" or examples["held"] < examples["found"]:
        return "contract-broken"
    if evidence.get("draft", {}).get("corrected", 0) > policy.max_corrected:
        return "corrected"
    if evidence.get("against_the_text"):
        return "not-as-asked"
    return "no-contract" if examples["found"] < policy.min_examples else ""


def _consensus(evidence: Mapping[str, Any], policy: Policy) -> str:
    if any(test["agreed"] < policy.min_agreeing for test in evidence["tests"]):
        return "unconfirmed"
    if evidence["examples"]["found"] and evidence["examples"]["agreed"] < policy.min_agreeing:
        return "unconfirmed"
    solutions = evidence["solutions"]
    if solutions["alike"] < policy.min_alike * solutions["of"]:
        return "disputed"
    if inputs_alike(evidence, policy.min_alike) < policy.min_inputs_alike:
        return "disputed"
    mutants = evidence["mutants"]
    return "weak-tests" if mutants["killed"] < policy.min_killed * mutants["of"] else ""


def inputs_alike(evidence: Mapping[str, Any], min_alike: float) -> float:
    """The share of the mutated inputs on which the share `min_alike` of the independent solutions
    that answered gave the solution's own output; 1 where no input could be compared."""
    counts = evidence.get("inputs", {"alike": []})["alike"]
    shared = sum(alike >= min_alike * answered for alike, answered in counts)
    return shared / len(counts) if counts else 1.0


def _unfinished(evidence: Mapping[str, Any]) -> str:
    """Why the tests did not come to their end; "unfinished" also where the program caught a
    failure. "" where they did."""
    for problem, reason in (("timed-out", "timed-out"), ("lost", "check-lost")):
        if evidence["problem"].startswith(problem):
            return reason
    ended = evidence["ended"] and not evidence["problem"]
    return "" if ended and all(test["held"] for test in evidence["tests"]) else "unfinished"
