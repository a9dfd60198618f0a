"""What a dialogue asks for: a problem whose examples independent solutions keep, and its tests."""

from typing import Any

from aiev.recipes.aiev_instruct.compose import asserts_of, solution_of
from aiev.recipes.aiev_instruct.draft import Corrected, corrected
from aiev.recipes.aiev_instruct.echoes import echoes, shown_arguments
from aiev.recipes.aiev_instruct.roles import Questioner
from aiev.recipes.aiev_instruct.talk import Rejected, Talk
from aiev.recipes.aiev_instruct.voting import Voters
from aiev.recipes.verification.contract import Contract, read_contract

MAX_ASKED_TESTS = 8
"""Asserts that are read of an answer."""


async def propose(talk: Talk, questioner: Questioner) -> str:
    """A problem that is a contract: with a signature and examples that can be read, and with none
    of a few-shot example's arguments. Another one is asked again before anything is paid for its
    solution."""
    shown = shown_arguments(talk.settings.prompt_set)

    def usable(text: str) -> bool:
        reason = _unusable(read_contract(text, talk.settings.examples), shown)
        talk.answers["echoed"] += reason == "echoed"
        return not reason

    text, language = talk.seed["text"], talk.seed["language"]
    problem = await talk.sample(
        questioner, lambda seed: questioner.propose(text, seed, language), usable
    )
    if not problem:
        raise Rejected("empty-problem")
    talk.contract = read_contract(problem, talk.settings.examples)
    if reason := _unusable(talk.contract, shown):
        talk.say("user", "problem", problem)
        raise Rejected(reason)
    return problem


def _unusable(contract: Contract, shown: list[Any]) -> str:
    """Why a draft is not used, "" where it is. shown: arguments of the few-shot examples."""
    if contract.flaw:
        return "contract-broken" if contract.flaw == "contradictory" else "no-contract"
    return "echoed" if echoes(contract, shown) else ""


def open_voters(talk: Talk, problem: str) -> Voters:
    """No independent solutions yet; each gets its own conversation."""
    name, settings = talk.contract.entry_point, talk.settings

    async def ask() -> str:
        reply = await talk.ask(talk.programmer().vote(problem, name, talk.next_seed()))
        return (None if reply.cut else solution_of(reply.text, name)) or ""

    voters = Voters(ask, talk.interpreter, name, settings.solutions, settings.agreeing)
    talk.others = voters.solutions
    return voters


async def agree(talk: Talk, problem: str) -> tuple[str, Voters]:
    """The problem, with examples that independent solutions keep, and these solutions.

    An example of a draft that they do not keep is corrected; then other solutions, which see the
    corrected problem alone, have to keep it. Raises Rejected where they do not:
    nobody can tell what is asked for, and the rest need not be paid for.
    """
    voters = open_voters(talk, problem)
    if await examples_kept(talk, voters):
        return problem, voters
    new = await _corrected(talk, problem, voters)
    if new:
        talk.draft, talk.corrected, talk.draft_others = problem, new.changed, talk.others
        problem, talk.contract = new.problem, new.contract
        voters = open_voters(talk, problem)
        if await examples_kept(talk, voters):
            return problem, voters
    talk.say("user", "problem", problem)
    raise Rejected("unconfirmed")


async def examples_kept(talk: Talk, voters: Voters) -> bool:
    """Whether enough independent solutions keep each example; true where none are asked for."""
    if talk.settings.solutions < talk.settings.agreeing:
        return True
    examples = _examples(talk)
    confirmed = await voters.confirm(examples, len(examples), needs_all=True)
    return len(confirmed) == len(examples)


async def _corrected(talk: Talk, problem: str, voters: Voters) -> Corrected | None:
    chosen = talk.settings
    if not chosen.corrections:
        return None
    seen = await voters.results(_examples(talk), chosen.corrections)
    return corrected(problem, talk.contract, seen, chosen.agreeing, chosen.corrections)


async def confirm_tests(talk: Talk, problem: str, voters: Voters) -> list[str]:
    """The problem's examples, and those asserts of the model that independent solutions confirm."""
    name, settings = talk.contract.entry_point, talk.settings
    examples = _examples(talk)
    reply = await talk.ask(talk.programmer().test(problem, name, talk.next_seed()))
    asserts = [] if reply.cut else asserts_of(reply.text, name, MAX_ASKED_TESTS)
    asserts = [test for test in asserts if test not in examples]
    confirmed = await voters.confirm(asserts, settings.tests)
    agreed, of = await voters.agreed(asserts), len(voters.solutions)
    talk.unconfirmed = [
        {"text": test, "agreed": agreed[test], "of": of}
        for test in asserts
        if test not in confirmed
    ]
    return [*examples, *confirmed[: settings.tests]]


def _examples(talk: Talk) -> list[str]:
    """The problem's examples, an assert statement each."""
    return [example.check for example in talk.contract.examples]
