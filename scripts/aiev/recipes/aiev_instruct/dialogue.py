"""The dialogue's steps: propose, solve, confirm tests, run, and rounds of feedback.

METHOD 1, after AIEV-Instruct (arXiv 2405.14906). A dialogue depends on its seed, the model and the
settings, and on nothing else: not on its neighbours, the shard or the order of work.

Tests are settled before the solution runs: the problem's examples, and those of the model's asserts
that independent solutions confirm. Feedback can change the solution only, so that no dialogue is
repaired by changing what was expected.
"""

import ast
import asyncio
from typing import Any

from aiev.core.types import Dialogue, Seed
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter, error_text, script_of
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable
from aiev.recipes.aiev_instruct.compose import compose, program, solution_of
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.problem import (
    agree,
    confirm_tests,
    examples_kept,
    open_voters,
    propose,
)
from aiev.recipes.aiev_instruct.roles import Programmer, Questioner
from aiev.recipes.aiev_instruct.talk import Rejected, Talk
from aiev.recipes.aiev_instruct.voting import Voters
from aiev.recipes.base import Place
from aiev.recipes.variety import shared_ideas
from aiev.recipes.verification.evidence import collect
from aiev.recipes.verification.separate import Parts, separate
from aiev.sandbox.packages.service import InstallFailed
from aiev.sandbox.request import Result


async def write_dialogue(
    seed: Seed, chat: ChatClient, interpreter: Interpreter, settings: Settings, place: Place
) -> Dialogue:
    """One dialogue from one seed, whatever comes of it. Raises EndpointError only."""
    model = chat.endpoint
    talk = Talk(seed, chat, interpreter, settings, place.dialogue_id(seed), place.number)
    stopped = await finish(talk)
    return {
        "id": talk.id,
        "seed": {
            "id": seed["id"],
            "source": seed["source"]["name"],
            "licence": seed["source"]["licence"],
        },
        "round": place.round_number,
        "stage": place.stage,
        "model": f"{model.model}@{model.digest}",
        "messages": talk.messages,
        "solution": talk.parts.solution,
        "tests": talk.parts.tests,
        "entry_point": talk.parts.entry_point,
        "seed_ideas": shared_ideas(seed["text"], talk.problem, talk.parts.solution),
        "independent": independent(talk),
        "packages": await asyncio.to_thread(talk.packages),
        "executions": talk.executions,
        "evidence": talk.record(stopped),
        "verdict": "rejected" if stopped else "candidate",
        "reason": stopped,
    }


def independent(talk: Talk) -> list[dict[str, Any]]:
    """The independent solutions, also those of a corrected draft. passes: whether all tests hold
    for it, null where this was not tried. A right one and a wrong one of the same problem make a
    preference pair."""
    passes = talk.evidence["solutions"].get("passes", [])
    passes = [*passes, *[None] * (len(talk.others) - len(passes))]
    found = [
        {"solution": solution, "draft": draft, "passes": each}
        for draft, solutions, results in (
            (True, talk.draft_others, [None] * len(talk.draft_others)),
            (False, talk.others, passes),
        )
        for solution, each in zip(solutions, results, strict=True)
    ]
    return [row for row in found if row["solution"]]


async def finish(talk: Talk, problem: str = "") -> str:
    """Write the dialogue to its end; the reason why it stopped, "" where its tests passed.

    problem: takes the place of a proposed one, with the contract that `talk` has already.
    """
    try:
        await _write(talk, problem)
    except Rejected as rejected:
        return str(rejected)
    except Unanswerable as none:
        return none.reason
    return ""


async def _write(talk: Talk, problem: str) -> None:
    """All steps in order. Raises Rejected with the reason where the dialogue fails."""
    questioner = talk.questioner()
    problem = problem or await propose(talk, questioner)
    if talk.settings.packages:
        voters = open_voters(talk, problem)
    else:
        problem, voters = await agree(talk, problem)
    talk.say("user", "problem", problem)
    programmer = talk.programmer()
    name = talk.contract.entry_point
    answer = await talk.sample(
        programmer,
        lambda seed: programmer.solve(problem, name, seed),
        lambda text: solution_of(text, name) is not None,
    )
    if solution_of(answer, name) is None:
        talk.say("assistant", "solution", answer)
        raise Rejected("no-code" if answer else "empty-answer")
    talk.script = await _prepared(talk, answer)
    # Which packages a solution needs, only this answer says.
    voters.requirements = talk.script.requirements
    if talk.settings.packages and await _installs(talk) and not await examples_kept(talk, voters):
        raise Rejected("unconfirmed")
    tests = await confirm_tests(talk, problem, voters)
    passed = await _solve(talk, questioner, programmer, answer, tests)
    await _verify(talk, voters, passed)
    talk.say("interpreter", "stdout", talk.shown(passed.stdout))


async def _solve(
    talk: Talk, questioner: Questioner, programmer: Programmer, answer: str, tests: list[str]
) -> Result:
    """Run the program, with feedback while it fails; the run that passed."""
    name = talk.contract.entry_point
    kind = "solution"
    shown = talk.contract.examples[0].call if talk.contract.examples else ""
    for left in range(talk.settings.feedback_rounds, -1, -1):
        solution = solution_of(answer, name)
        if solution is None:
            talk.say("assistant", kind, answer)
            raise Rejected("no-code" if answer else "empty-answer")
        whole = program(solution, tests, shown)
        answer = talk.say("assistant", kind, compose(answer, name, whole))
        result = await _execute(talk, answer)
        if result.outcome == "passed":
            return result
        error = talk.say("interpreter", "stderr", talk.shown(error_text(result)))
        if not left:
            raise Rejected(f"unsolved-{result.outcome}")
        revision = await _feedback(talk, questioner, programmer, error, solution)
        if not revision:
            raise Rejected(f"unsolved-{result.outcome}")
        answer, kind, talk.rounds = revision, "revision", talk.rounds + 1


async def _feedback(
    talk: Talk, questioner: Questioner, programmer: Programmer, error: str, solution: str
) -> str:
    """The error in words, and the Programmer's answer to it; "" where it only gives the same
    solution again, which would fail again."""
    name, code = talk.contract.entry_point, talk.script.code
    words = await talk.sample(questioner, lambda seed: questioner.describe(code, error, seed), bool)
    if not words:
        raise Rejected("empty-description")
    talk.say("user", "description", words)

    def changes(text: str) -> bool:
        changed = _differ(solution_of(text, name), solution)
        talk.no_ops += not changed
        return changed

    answer = await talk.sample(
        programmer, lambda seed: programmer.revise(name, error, words, seed), changes
    )
    return answer if _differ(solution_of(answer, name), solution) else ""


def _differ(one: str | None, other: str) -> bool:
    """Whether two solutions differ in more than layout."""
    try:
        return ast.dump(ast.parse(one or "")) != ast.dump(ast.parse(other))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return one != other


async def _prepared(talk: Talk, answer: str) -> Script:
    """The answer's script, with the packages that its shell commands install."""
    script = script_of(answer, talk.installed)
    if script is None:
        raise Rejected("no-code")
    return await asyncio.to_thread(talk.interpreter.prepare, script)


async def _installs(talk: Talk) -> bool:
    """Whether the packages of the answer can be installed; running it says why not."""
    try:
        await asyncio.to_thread(talk.interpreter.layer, talk.script.requirements)
    except InstallFailed:
        return False
    return True


async def _execute(talk: Talk, answer: str) -> Result:
    script = talk.script = await _prepared(talk, answer)
    try:
        talk.parts = separate(script.code)
    except SyntaxError:
        talk.parts = Parts(script.code, "", (), "")
    talk.first_tests = talk.first_tests or talk.parts.tests
    result = await asyncio.to_thread(talk.interpreter.run, script)
    if result.outcome != "install-failed":
        talk.installed = script.requirements
    talk.executions.append(
        {
            "exit_code": result.exit_code,
            "outcome": result.outcome,
            "stdout": result.stdout,
            "stderr": result.stderr,
        }
    )
    return result


async def _verify(talk: Talk, voters: Voters, passed: Result) -> None:
    """Collect the evidence; a policy judges it later."""
    if not talk.parts.tests:
        raise Rejected("unparsable")
    await voters.complete()
    talk.evidence = await asyncio.to_thread(
        collect,
        *(talk.interpreter, talk.script, talk.parts, passed, talk.contract, talk.others),
        max_mutants=talk.settings.mutants,
        max_inputs=talk.settings.mutated_inputs,
    )
