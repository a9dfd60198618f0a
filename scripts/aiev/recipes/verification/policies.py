"""Policies: what evidence makes a dialogue verified.

Pure functions, so that the dialogues of a run can be judged again under another policy without a
call to a model or the sandbox.
  paper      the program passed, at least two tests ran, a stub fails them, repetitions agree
  examples   also: the tests came to their end, the problem's examples hold, nothing was bent, and
             the solution uses what the problem says
  consensus  also: independent solutions confirm every test, most of those that keep the problem's
             examples give the same outputs as the solution, on mutated inputs too, and the tests
             kill mutants
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiev.recipes.verification.settings import Policy

POLICIES = ("paper", "examples", "consensus")


def judge(evidence: Mapping[str, Any], policy: Policy) -> str:
    """Why the dialogue is not verified under the policy; "" when it is.

    Reasons: what stopped it (no-code, cut-off, unsolved-failed, ...), no-tests, vacuous, flaky,
    unfinished, timed-out, check-lost, bent, no-contract, contract-broken, corrected, not-as-asked,
    unconfirmed, disputed, weak-tests, no-evidence.
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
    if "voters" not in evidence["solutions"]:
        return "no-evidence"  # of a version that did not say which solutions agree
    counted = counted_voters(evidence)
    agreed = [len(counted), *(test["agreed"] for test in evidence["tests"])]
    if evidence["examples"]["found"]:
        agreed.append(evidence["examples"]["agreed"])
    if min(agreed) < policy.min_agreeing:
        return "unconfirmed"
    if _disputed(evidence, policy):
        return "disputed"
    votes = compared(evidence)
    if len(votes) < policy.min_inputs:
        return "unconfirmed"
    if votes and inputs_alike(votes, policy.min_alike) < policy.min_inputs_alike:
        return "disputed"
    mutants = evidence["mutants"]
    # Where no mutant was made, nothing shows what the tests are worth.
    killed = mutants["killed"] / mutants["of"] if mutants["of"] else 0.0
    return "weak-tests" if killed < policy.min_killed else ""


def _disputed(evidence: Mapping[str, Any], policy: Policy) -> bool:
    """Whether too few independent solutions give the solution's outputs to the tests' calls.

    A corrected example holds by the independent solutions' word alone. So those that break it are
    not left out there: it may be they who read the problem rightly.
    """
    counted = counted_voters(evidence)
    if sum(voter["alike"] for voter in counted) < policy.min_alike * len(counted):
        return True
    ran = [voter for voter in evidence["solutions"]["voters"] if voter["ran"]]
    corrected = evidence.get("draft", {}).get("corrected", 0)
    needed = policy.min_alike_corrected * len(ran) if corrected else 0
    return sum(voter["alike"] for voter in ran) < needed


def counted_voters(evidence: Mapping[str, Any]) -> list[Mapping[str, bool]]:
    """The independent solutions whose outputs count: they keep all of the problem's examples, and
    a call of them returned."""
    voters = evidence["solutions"].get("voters", [])
    return [voter for voter in voters if _counts(voter)]


def compared(evidence: Mapping[str, Any]) -> list[list[bool]]:
    """For each mutated input that can be compared, whether those counted voters that gave an output
    gave the solution's own."""
    voters = evidence["solutions"].get("voters", [])
    rows = [
        [vote for vote, voter in zip(row, voters, strict=True) if _counts(voter)]
        for row in evidence.get("inputs", {}).get("votes", [])
    ]
    answered = [[vote for vote in row if vote is not None] for row in rows]
    return [row for row in answered if row]


def inputs_alike(votes: Sequence[Sequence[bool]], min_alike: float) -> float:
    """The share of the inputs on which at least the share `min_alike` of the votes are for the
    solution's own output. votes: of at least one input."""
    return sum(sum(row) >= min_alike * len(row) for row in votes) / len(votes)


def _counts(voter: Mapping[str, bool]) -> bool:
    return voter["kept"] and voter["ran"]


def _unfinished(evidence: Mapping[str, Any]) -> str:
    """Why the tests did not come to their end; "unfinished" also where the program caught a
    failure. "" where they did."""
    for problem, reason in (("timed-out", "timed-out"), ("lost", "check-lost")):
        if evidence["problem"].startswith(problem):
            return reason
    ended = evidence["ended"] and not evidence["problem"]
    return "" if ended and all(test["held"] for test in evidence["tests"]) else "unfinished"
