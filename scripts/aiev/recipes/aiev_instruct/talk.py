"""A dialogue under way: what was said and run so far, and how the model is asked for more."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiev.core.types import Seed
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable
from aiev.recipes.aiev_instruct.options import Settings
from aiev.recipes.aiev_instruct.output import ends
from aiev.recipes.aiev_instruct.roles import Programmer, Questioner, Reply
from aiev.recipes.base import turn_seed
from aiev.recipes.verification.consensus import distinct
from aiev.recipes.verification.contract import Contract
from aiev.recipes.verification.evidence import NOTHING
from aiev.recipes.verification.named_tools import against_the_text
from aiev.recipes.verification.separate import Parts, asserts

EMPTY = Script("")
NO_PARTS = Parts("", "", (), "")
NO_CONTRACT = Contract("", (), "no-signature")


class Rejected(Exception):
    """The dialogue ends here; the message is its reason in the record."""


@dataclass
class Talk:
    """One dialogue under way.

    messages, executions: the record so far. script: the last program, `parts` of it taken apart.
    others: independent solutions. draft: the problem's text before its examples were corrected,
    draft_others: the independent solutions of that, and `corrected`: how many examples were.
    unconfirmed: the tests that too few of `others` pass. first_tests: of the first program.
    no_ops: answers to an error that changed nothing.
    answers: how many were asked for, how many of them again because the one before could not be
    used (resampled), and how many were echoed (a few-shot example), cut off or refused.
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
    draft: str = ""
    draft_others: list[str] = field(default_factory=list)
    corrected: int = 0
    unconfirmed: list[dict[str, Any]] = field(default_factory=list)
    first_tests: str = ""
    evidence: dict[str, Any] = field(default_factory=lambda: dict(NOTHING))
    no_ops: int = 0
    rounds: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def problem(self) -> str:
        """The problem of the record; "" while there is none."""
        return self.messages[0]["content"] if self.messages else ""

    def say(self, role: str, kind: str, content: str) -> str:
        self.messages.append({"role": role, "kind": kind, "content": content})
        return content

    def shown(self, text: str) -> str:
        return ends(text, self.settings.shown_characters)

    def questioner(self) -> Questioner:
        settings = self.settings
        prompts = settings.prompt_set
        return Questioner(self.chat, settings.sampling, prompts, self.place, settings.packages)

    def programmer(self) -> Programmer:
        """A new conversation, which has seen nothing."""
        settings = self.settings
        prompts = settings.prompt_set
        return Programmer(self.chat, settings.sampling, prompts, self.place, settings.packages)

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

    def record(self, stopped: str) -> dict[str, Any]:
        """The evidence, with what only the loop knows."""
        solutions = self.evidence["solutions"]
        contract = {"found": len(self.contract.examples), "flaw": self.contract.flaw}
        return {
            **self.evidence,
            "examples": {**self.evidence["examples"], **contract},
            "stopped": stopped,
            "rounds": self.rounds,
            "revisions": {"of": self.rounds, "no_ops": self.no_ops},
            "bent": not asserts(self.first_tests) <= asserts(self.parts.tests),
            "against_the_text": against_the_text(self.problem, self.parts.solution),
            "solutions": {
                **{key: solutions[key] for key in ("alike", "held", "voters")},
                "of": len(self.others),
                "distinct": distinct(self.others),
            },
            "draft": {
                "corrected": self.corrected,
                "solutions": len(self.draft_others),
                "problem": self.draft,
            },
            "unconfirmed_tests": self.unconfirmed,
            "answers": {name: count for name, count in sorted(self.answers.items()) if count},
        }

    def packages(self) -> list[dict[str, str]]:
        """What was installed in the end: name, version, sha256 of each."""
        layer = self.interpreter.layer(self.installed)
        return layer.packages if layer else []
