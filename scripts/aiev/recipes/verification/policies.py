"""Policies: what evidence makes a dialogue verified.

Pure functions, so that the dialogues of a run can be judged again under another policy without a
call to a model or the sandbox.
  paper      the program passed, at least two tests ran, a stub fails them, repetitions agree
  examples   also: the tests came to their end, the problem's examples hold, nothing was bent
  consensus  also: independent solutions confirm every test, and the tests kill mutants
"""

from collections.abc import Mapping
from typing import Any

from aiev.recipes.verification.settings import Policy

POLICIES = ("paper", "examples", "consensus")


def judge(evidence: Mapping[str, Any], policy: Policy) -> str:
    """Why the dialogue is not verified under the policy; "" when it is.

    Reasons: what stopped it (no-code, cut-off, unsolved-failed, ...), no-tests, vacuous, flaky,
    unfinished, bent, no-contract, contract-broken, unconfirmed, weak-tests.
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
    """The dialogue with the policy's verdict; one without evidence keeps its own."""
    if "evidence" not in dialogue:
        return dict(dialogue)
    reason = judge(dialogue["evidence"], policy)
    return {**dialogue, "verdict": "rejected" if reason else "verified", "reason": reason}


def _paper(evidence: Mapping[str, Any], policy: Policy) -> str:
    if len(evidence["tests"]) < policy.min_tests:
        return "unfinished" if _unfinished(evidence) else "no-tests"
    if evidence["stub_passes"] or not any(test["fails"] for test in evidence["tests"]):
        return "vacuous"
    repetitions = evidence["repetitions"]
    return "flaky" if repetitions["same"] < repetitions["of"] else ""


def _examples(evidence: Mapping[str, Any], policy: Policy) -> str:
    examples = evidence["examples"]
    if _unfinished(evidence):
        return "unfinished"
    if sum(test["fails"] for test in evidence["tests"]) < policy.min_tests:
        return "vacuous"
    if evidence["bent"]:
        return "bent"
    if examples["flaw"] == "contradictory" or examples["held"] < examples["found"]:
        return "contract-broken"
    return "no-contract" if examples["found"] < policy.min_examples else ""


def _consensus(evidence: Mapping[str, Any], policy: Policy) -> str:
    if any(test["agreed"] < policy.min_agreeing for test in evidence["tests"]):
        return "unconfirmed"
    if evidence["examples"]["found"] and evidence["examples"]["agreed"] < policy.min_agreeing:
        return "unconfirmed"
    mutants = evidence["mutants"]
    return "weak-tests" if mutants["killed"] < policy.min_killed * mutants["of"] else ""


def _unfinished(evidence: Mapping[str, Any]) -> bool:
    """Whether the tests did not come to their end, or a failure was caught in the program."""
    tests = evidence["tests"]
    return not evidence["ended"] or bool(evidence["problem"]) or not all(t["held"] for t in tests)
