"""The dialogue, as a state machine: propose, solve, confirm tests, run, and rounds of feedback.

METHOD 1, after AIEV-Instruct (arXiv 2405.14906). A dialogue depends on its seed, the model and the
settings, and on nothing else: not on its neighbours, the shard or the order of work.

Tests are settled before the solution runs: the problem's examples, and those of the model's asserts
that independent solutions confirm. Feedback can change the solution only, so that no dialogue is
repaired by changing what was expected.
"""

import ast
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiev.core.types import Dialogue, Seed
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter, error_text, script_of
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable
from aiev.recipes.aiev_instruct.compose import asserts_of, compose, program, solution_of
from aiev.recipes.aiev_instruct.draft import Corrected, corrected
from aiev.recipes.aiev_instruct.output import ends
from aiev.recipes.aiev_instruct.roles import Programmer, Questioner, Reply, Sampling
from aiev.recipes.aiev_instruct.voting import Voters
from aiev.recipes.base import Place, turn_seed
from aiev.recipes.variety import shared_ideas
from aiev.recipes.verification.contract import Contract, read_contract
from aiev.recipes.verification.evidence import NOTHING, collect
from aiev.recipes.verification.separate import Parts, separate
from aiev.sandbox.packages.service import InstallFailed
from aiev.sandbox.request import Result

EMPTY = Script("")
NO_PARTS = Parts("", "", (), "")
NO_CONTRACT = Contract("", (), "no-signature")
MAX_ASKED_TESTS = 8
"""Asserts that are read of an answer."""


@dataclass(frozen=True)
class Settings:
    """How dialogues are written.

    feedback_rounds: max revisions. run_seed: from which all sampling seeds derive.
    shown_characters: how much of a run's output a message shows. answers: max answers sampled for
    a turn until one can be used. packages: whether the Programmer may have packages installed.
    solutions: max independent solutions. agreeing: how many of them confirm a test.
    corrections: how many of them correct a draft's example.
    tests: max confirmed tests beside the problem's examples. examples: that a problem must state.
    """

    run_seed: int
    feedback_rounds: int
    shown_characters: int
    sampling: Sampling
    answers: int = 1
    packages: bool = False
    solutions: int = 4
    agreeing: int = 2
    corrections: int = 3
    tests: int = 4
    examples: int = 2
    mutants: int = 12

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Settings":
        """From the config's keys `seed`, `dialogues` and `sandbox.packages`."""
        chosen = config["dialogues"]
        keys = ("feedback_rounds", "shown_characters", "answers")
        more = ("solutions", "agreeing", "corrections", "tests", "examples", "mutants")
        return cls(
            run_seed=config["seed"],
            sampling=Sampling(**chosen["sampling"]),
            packages=bool(config["sandbox"]["packages"]["allow"]),
            **{key: chosen[key] for key in keys},
            **{key: chosen[key] for key in more if key in chosen},
        )


class Rejected(Exception):
    """The dialogue ends here; the message is its reason in the record."""


@dataclass
class Talk:
    """One dialogue under way.

    messages, executions: the record so far. script: the last program, `parts` of it taken apart.
    others: independent solutions. draft: how many examples of the problem's draft were corrected
    and left out. no_ops: revisions that changed nothing.
    answers: how many were asked for, how many of them again because the one before could not be
    used (resampled), and how many were cut off or refused.
    """

    seed: Seed
    chat: ChatClient
    interpreter: Interpreter
    settings: Settings
    id: str
    place: int
    messages: list[dict[str, str]] = field(default_factory=list)
    executions: list[dict[str, Any]] = field(default_factory=list)
    script: Script = EMPTY
    parts: Parts = NO_PARTS
    installed: tuple[str, ...] = ()
    turn: int = 0
    contract: Contract = NO_CONTRACT
    others: list[str] = field(default_factory=list)
    draft: dict[str, int] = field(default_factory=lambda: {"corrected": 0, "left_out": 0})
    evidence: dict[str, Any] = field(default_factory=lambda: dict(NOTHING))
    no_ops: int = 0
    rounds: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def next_seed(self) -> int:
        self.turn += 1
        return turn_seed(self.settings.run_seed, self.id, self.turn)

    async def ask(self, question: Awaitable[Reply]) -> Reply:
        """The answer to a question, counted."""
        self.answers["asked"] += 1
        try:
            reply = await question
        except Unanswerable as none:
            self.answers[none.reason] += 1
            raise
        self.answers["cut-off"] += reply.cut
        return reply

    @property
    def problem(self) -> str:
        """The problem of the record; "" while there is none."""
        return self.messages[0]["content"] if self.messages else ""

    def say(self, role: str, kind: str, content: str) -> str:
        self.messages.append({"role": role, "kind": kind, "content": content})
        return content

    async def write(self, problem: str = "") -> None:
        """All steps in order. problem: takes the place of the proposed one, as does `contract`.

        Raises Rejected with the reason where the dialogue fails.
        """
        questioner = Questioner(self.chat, self.settings.sampling, self.place)
        problem = problem or await self.propose(questioner)
        if self.settings.packages:
            voters = self.voters(problem)
        else:
            problem, voters = await self.agree(problem)
        self.say("user", "problem", problem)
        programmer = self.programmer()
        name = self.contract.entry_point
        answer = await self.sample(
            programmer,
            lambda seed: programmer.solve(problem, name, seed),
            lambda text: solution_of(text, name) is not None,
        )
        if solution_of(answer, name) is None:
            self.say("assistant", "solution", answer)
            raise Rejected("no-code" if answer else "empty-answer")
        self.script = await self.prepared(answer)
        # Which packages a solution needs, only this answer says.
        voters.requirements = self.script.requirements
        if self.settings.packages and await self.installs() and not await self.kept(voters):
            raise Rejected("unconfirmed")
        tests = await self.confirm_tests(problem, voters)
        await self.solve(questioner, programmer, answer, tests)

    def programmer(self) -> Programmer:
        """A new conversation, which has seen nothing."""
        settings = self.settings
        return Programmer(self.chat, settings.sampling, self.place, settings.packages)

    async def propose(self, questioner: Questioner) -> str:
        """A problem that is a contract: with a signature and examples that can be read. Another
        one is asked again before anything is paid for its solution."""

        def usable(text: str) -> bool:
            self.contract = read_contract(text, self.settings.examples)
            return not self.contract.flaw

        text, language = self.seed["text"], self.seed["language"]
        problem = await self.sample(
            questioner, lambda seed: questioner.propose(text, seed, language), usable
        )
        if not problem:
            raise Rejected("empty-problem")
        if not usable(problem):
            self.say("user", "problem", problem)
            broken = self.contract.flaw == "contradictory"
            raise Rejected("contract-broken" if broken else "no-contract")
        return problem

    async def sample(
        self,
        role: Questioner | Programmer,
        ask: Callable[[int], Awaitable[Reply]],
        usable: Callable[[str], bool],
    ) -> str:
        """An answer that can be used; the last one, if none can. Others are asked again, and are
        no part of the dialogue. Raises Rejected where the token limit cut the last one too."""
        for left in range(self.settings.answers - 1, -1, -1):
            reply = await self.ask(ask(self.next_seed()))
            if not reply.cut and usable(reply.text):
                return reply.text
            if left:
                role.forget()
                self.answers["resampled"] += 1
        if reply.cut:
            raise Rejected("cut-off")
        return reply.text

    def voters(self, problem: str) -> Voters:
        """Nobody yet; each is asked in a conversation of its own."""
        name, settings = self.contract.entry_point, self.settings

        async def ask() -> str:
            reply = await self.ask(self.programmer().vote(problem, name, self.next_seed()))
            return (None if reply.cut else solution_of(reply.text, name)) or ""

        voters = Voters(ask, self.interpreter, name, settings.solutions, settings.agreeing)
        self.others = voters.solutions
        return voters

    async def agree(self, problem: str) -> tuple[str, Voters]:
        """The problem, with examples that independent solutions keep, and these solutions.

        An example of a draft that they do not keep is corrected or left out; then other solutions,
        which see the corrected problem alone, have to keep it. Raises Rejected where they do not:
        nobody can tell what is asked for, and the rest need not be paid for.
        """
        voters = self.voters(problem)
        if await self.kept(voters):
            return problem, voters
        new = await self.corrected(problem, voters)
        if new:
            self.draft = {"corrected": new.changed, "left_out": new.left_out}
            problem, self.contract = new.problem, new.contract
            voters = self.voters(problem)
            if await self.kept(voters):
                return problem, voters
        self.say("user", "problem", problem)
        raise Rejected("unconfirmed")

    async def kept(self, voters: Voters) -> bool:
        """Whether enough independent solutions keep each example; true where none are asked for."""
        if self.settings.solutions < self.settings.agreeing:
            return True
        examples = [example.check for example in self.contract.examples]
        confirmed = await voters.confirm(examples, len(examples), needs_all=True)
        return len(confirmed) == len(examples)

    async def installs(self) -> bool:
        """Whether the packages of the answer can be installed; running it says why not."""
        try:
            await asyncio.to_thread(self.interpreter.layer, self.script.requirements)
        except InstallFailed:
            return False
        return True

    async def corrected(self, problem: str, voters: Voters) -> Corrected | None:
        chosen = self.settings
        if not chosen.corrections:
            return None
        checks = [example.check for example in self.contract.examples]
        seen = await voters.results(checks, chosen.corrections)
        needed = (chosen.agreeing, chosen.corrections, chosen.examples)
        return corrected(problem, self.contract, seen, *needed)

    async def confirm_tests(self, problem: str, voters: Voters) -> list[str]:
        """The problem's examples, and those asserts of the model that independent solutions
        confirm."""
        name, settings = self.contract.entry_point, self.settings
        examples = [example.check for example in self.contract.examples]
        reply = await self.ask(self.programmer().test(problem, name, self.next_seed()))
        asserts = [] if reply.cut else asserts_of(reply.text, name, MAX_ASKED_TESTS)
        asserts = [test for test in asserts if test not in examples]
        return [*examples, *(await voters.confirm(asserts, settings.tests))[: settings.tests]]

    async def solve(
        self, questioner: Questioner, programmer: Programmer, answer: str, tests: list[str]
    ) -> None:
        """Run the program, with feedback while it fails, and collect evidence when it passes."""
        name = self.contract.entry_point
        kind = "solution"
        shown = self.contract.examples[0].call if self.contract.examples else ""
        for left in range(self.settings.feedback_rounds, -1, -1):
            solution = solution_of(answer, name)
            if solution is None:
                self.say("assistant", kind, answer)
                raise Rejected("no-code" if answer else "empty-answer")
            whole = program(solution, tests, shown)
            answer = self.say("assistant", kind, compose(answer, name, whole))
            result = await self.execute(answer)
            if result.outcome == "passed":
                break
            error = self.say("interpreter", "stderr", self.shown(error_text(result)))
            if not left:
                raise Rejected(f"unsolved-{result.outcome}")
            revision = await self.feedback(questioner, programmer, error, solution)
            if not revision:
                raise Rejected(f"unsolved-{result.outcome}")
            answer, kind, self.rounds = revision, "revision", self.rounds + 1
        await self.verify(result)
        self.say("interpreter", "stdout", self.shown(result.stdout))

    async def feedback(
        self, questioner: Questioner, programmer: Programmer, error: str, solution: str
    ) -> str:
        """The error in words, and the Programmer's answer to it; "" where it only gives the same
        solution again, which would fail again."""
        name, code = self.contract.entry_point, self.script.code
        words = await self.sample(
            questioner, lambda seed: questioner.describe(code, error, seed), bool
        )
        if not words:
            raise Rejected("empty-description")
        self.say("user", "description", words)

        def changes(text: str) -> bool:
            return _differ(solution_of(text, name), solution)

        answer = await self.sample(
            programmer, lambda seed: programmer.revise(name, error, words, seed), changes
        )
        if not changes(answer):
            self.no_ops += 1
            return ""
        return answer

    async def prepared(self, answer: str) -> Script:
        """The answer's script, with the packages that its shell commands install."""
        script = script_of(answer, self.installed)
        if script is None:
            raise Rejected("no-code")
        return await asyncio.to_thread(self.interpreter.prepare, script)

    async def execute(self, answer: str) -> Result:
        script = self.script = await self.prepared(answer)
        try:
            self.parts = separate(script.code)
        except SyntaxError:
            self.parts = Parts(script.code, "", (), "")
        result = await asyncio.to_thread(self.interpreter.run, script)
        if result.outcome != "install-failed":
            self.installed = script.requirements
        self.executions.append(
            {
                "exit_code": result.exit_code,
                "outcome": result.outcome,
                "stdout": result.stdout,
                "stderr": result.stderr,
            }
        )
        return result

    async def verify(self, passed: Result) -> None:
        """Collect the evidence; a policy judges it later."""
        if not self.parts.tests:
            raise Rejected("unparsable")
        self.evidence = await asyncio.to_thread(
            collect,
            *(self.interpreter, self.script, self.parts, passed, self.contract, self.others),
            max_mutants=self.settings.mutants,
        )

    def record(self, stopped: str) -> dict[str, Any]:
        """The evidence, with what only the loop knows."""
        return {
            **self.evidence,
            "stopped": stopped,
            "rounds": self.rounds,
            "revisions": {"of": self.rounds, "no_ops": self.no_ops},
            "solutions": {**self.evidence["solutions"], "of": len(self.others)},
            "draft": self.draft,
            "answers": {name: count for name, count in sorted(self.answers.items()) if count},
        }

    def packages(self) -> list[dict[str, str]]:
        """What was installed in the end: name, version, sha256 of each."""
        layer = self.interpreter.layer(self.installed)
        return layer.packages if layer else []

    def shown(self, text: str) -> str:
        return ends(text, self.settings.shown_characters)


def _differ(one: str | None, other: str) -> bool:
    """Whether two solutions differ in more than layout."""
    try:
        return ast.dump(ast.parse(one or "")) != ast.dump(ast.parse(other))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return one != other


async def finish(talk: Talk, problem: str = "") -> str:
    """Write the dialogue to its end; the reason why it stopped, "" where its tests passed."""
    try:
        await talk.write(problem)
    except Rejected as rejected:
        return str(rejected)
    except Unanswerable as none:
        return none.reason
    return ""


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
        "independent": [solution for solution in talk.others if solution],
        "packages": await asyncio.to_thread(talk.packages),
        "executions": talk.executions,
        "evidence": talk.record(stopped),
        "verdict": "rejected" if stopped else "candidate",
        "reason": stopped,
    }
