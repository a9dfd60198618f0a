"""The evidence that a dialogue's verdict rests on; policies turn it into a verdict.

Evidence is a plain record, kept with the dialogue:
  stopped      why the dialogue ended before its tests passed: "no-code", "unsolved-failed", ...
  bent         the last program lacks an assert of the first one
  against_the_text  functions and modules that the problem says to use and the solution does not, or
               says not to use and the solution does
  rounds       revisions until the tests passed; 0: at the first try
  examples     {found, held, agreed, flaw}: of the problem's own text; agreed: the least number of
               independent solutions that keep one of them
  tests        [{text, held, agreed, fails}] of each test that ran; agreed: how many independent
               solutions that keep the examples pass it; fails: on the stub or a mutant
  ended        every statement of the tests ran; `problem`: else why not ("timed-out: ...")
  stub_passes  the tests hold although every function returns None
  mutants      {of, killed, survived}: survived counts operators
  solutions    {of, distinct, alike, held, voters}: independent ones, how many of them differ, gave
               the same outputs to all calls, and pass all tests; held of `of` is how easy the
               problem is. voters: [{kept, ran, alike}], for each whether it keeps all examples,
               whether a call of it returned, and whether all outputs are the solution's own
  inputs       {of, votes}: mutated inputs, and for each that can be compared a list, in the order
               of the voters: true for the solution's own output, false for another one, null for
               none
  repetitions  {of, same}: runs under other hash seeds
  draft        {corrected, solutions, problem}: examples of the problem's draft that were corrected,
               the independent solutions of the draft, and its text; "" where there was no other
  unconfirmed_tests  [{text, agreed, of}]: the model's tests that are not used, with the number of
               independent solutions that passed, of those that there were then
  revisions    {of, no_ops}: answers to an error with another solution, and with the same one
  answers      {asked, resampled, echoed, cut-off, refused, ...}: of the model; those that are not 0
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.consensus import agreement, alike, on_inputs, ran
from aiev.recipes.verification.contract import Contract
from aiev.recipes.verification.inputs import mutated_calls
from aiev.recipes.verification.mutants import Mutant, mutants
from aiev.recipes.verification.observe import MUTANT_SECONDS, Case, Observation, observe
from aiev.recipes.verification.separate import Parts
from aiev.sandbox.request import Result

HASH_SEEDS = (1, 2)
"""Of the repetitions; the first run had 0."""

SAYS_NOTHING = ("timed-out", "lost", "killed", "gone")
"""Problems under which tests have not failed by a check: the solution's code is not called in a
stub, so that nothing of the tests' own can end its process."""

NOTHING: dict[str, Any] = {
    "stopped": "",
    "bent": False,
    "against_the_text": [],
    "rounds": 0,
    "examples": {"found": 0, "held": 0, "agreed": 0, "flaw": "no-signature"},
    "tests": [],
    "ended": False,
    "problem": "",
    "stub_passes": False,
    "mutants": {"of": 0, "killed": 0, "survived": {}},
    "solutions": {"of": 0, "alike": 0, "held": 0, "voters": []},
    "inputs": {"of": 0, "votes": []},
    "repetitions": {"of": 0, "same": 0},
}
"""Evidence of a dialogue about which nothing is known."""


def collect(
    interpreter: Interpreter,
    script: Script,
    parts: Parts,
    first: Result,
    contract: Contract,
    solutions: Sequence[str] = (),
    max_mutants: int = 12,
    max_inputs: int = 16,
) -> dict[str, Any]:
    """Evidence about a program that passed, in one start of the sandbox.

    first: how its run ended. solutions: independent ones, from the description alone. max_inputs:
    mutated inputs on which they are compared with the program's own.
    """
    examples = "".join(f"{example.check}\n" for example in contract.examples)
    watched = Parts(parts.solution, examples + parts.tests, parts.imports, parts.entry_point)
    changed = mutants(parts.solution, max_mutants)
    name = contract.entry_point or parts.entry_point
    calls = mutated_calls(watched.tests, name, max_inputs if solutions else 0)
    cases = [
        Case(parts.solution),
        Case(parts.solution, stub=True),
        *(Case(mutant.code, seconds=MUTANT_SECONDS) for mutant in changed),
        *(Case(solution) for solution in solutions),
        *_on_calls(calls, [parts.solution, *solutions]),
    ]
    seen, repeated = observe(interpreter, script, watched, cases, HASH_SEEDS)
    own, stub, *rest = seen
    altered, rest = rest[: len(changed)], rest[len(changed) :]
    others, on_calls = rest[: len(solutions)], rest[len(solutions) :]
    count = len(contract.examples)
    keys = [key for key in own.results if key[0] >= count]
    voters = _voters(solutions, own, others, count)
    counted = [voter["kept"] and voter["ran"] for voter in voters]
    keepers = [other for other, voter in zip(others, voters, strict=True) if voter["kept"]]
    same = [r for r in repeated if (r.exit_code, r.stdout) == (first.exit_code, first.stdout)]
    return {
        **NOTHING,
        "examples": _examples(contract, own, others),
        "tests": _tests(own, keys, keepers, [stub, *altered]),
        "ended": own.ended,
        "problem": own.problem,
        # A stub that was too slow, or ended by another process, says nothing: then nothing shows
        # that the tests can fail.
        "stub_passes": _holds(stub, count) or stub.problem.startswith(SAYS_NOTHING),
        "mutants": _mutants(changed, altered, count),
        "solutions": _solutions(others, voters),
        "inputs": {"of": len(calls), "votes": _votes(on_calls, counted, len(calls))},
        "repetitions": {"of": len(repeated), "same": len(same)},
    }


def _on_calls(calls: Sequence[str], solutions: Sequence[str]) -> list[Case]:
    """The calls on each solution; nothing is expected of them but that they return."""
    tests = "".join(f"assert [{call}]\n" for call in calls)
    return [Case(each, seconds=MUTANT_SECONDS, tests=tests) for each in solutions if calls]


def _mutants(
    changed: Sequence[Mutant], seen: Sequence[Observation], examples: int
) -> dict[str, Any]:
    survived = [m.operator for m, o in zip(changed, seen, strict=True) if _holds(o, examples)]
    return {
        "of": len(changed),
        "killed": len(changed) - len(survived),
        "survived": dict(sorted(Counter(survived).items())),
    }


def _solutions(others: list[Observation], voters: list[dict[str, bool]]) -> dict[str, Any]:
    passes = [other.held for other in others]
    return {
        "of": len(others),
        "alike": sum(voter["alike"] for voter in voters),
        "held": sum(passes),
        "passes": passes,
        "voters": voters,
    }


def _voters(
    solutions: Sequence[str], own: Observation, others: list[Observation], examples: int
) -> list[dict[str, bool]]:
    """What each independent solution's vote rests on. An empty one keeps nothing."""
    keys = [(number, 1) for number in range(examples)]
    return [
        {
            "kept": bool(solution.strip()) and all(seen.results.get(key, False) for key in keys),
            "ran": ran(seen),
            "alike": same,
        }
        for solution, seen, same in zip(solutions, others, alike(own, others), strict=True)
    ]


def _votes(seen: list[Observation], counted: list[bool], count: int) -> list[list[bool | None]]:
    """The votes on the mutated inputs. seen: on the solution, and on each independent one."""
    return on_inputs(seen[0], seen[1:], counted, count) if seen else []


def _holds(seen: Observation, examples: int) -> bool:
    """Whether all tests hold, the problem's examples left out."""
    results = [held for (number, _), held in seen.results.items() if number >= examples]
    return seen.ended and not seen.problem and all(results)


def _examples(contract: Contract, own: Observation, others: list[Observation]) -> dict[str, Any]:
    keys = [(number, 1) for number in range(len(contract.examples))]
    agreed = agreement(keys, others)
    return {
        "found": len(keys),
        "held": sum(own.results.get(key, False) for key in keys),
        "agreed": min(agreed.values(), default=0),
        "flaw": contract.flaw,
    }


def _tests(own: Observation, keys: list, others: list, wrong: list) -> list[dict[str, Any]]:
    """One record a test; a check that repeats another one, on the same calls, is no second test."""
    agreed, tests, known = agreement(keys, others), [], set()
    for key in keys:
        identity = (own.texts[key], own.calls[key])
        if identity in known:
            continue
        known.add(identity)
        fails = any(not seen.results.get(key, False) for seen in wrong)
        tests.append(
            {
                "text": own.texts[key],
                "held": own.results[key],
                "agreed": agreed[key],
                "fails": fails,
            }
        )
    return tests
