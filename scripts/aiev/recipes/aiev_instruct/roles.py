"""The two roles that one model plays, with a conversation each."""

import re
from dataclasses import dataclass
from functools import partial

from aiev.core.templates import render
from aiev.languages.python.blocks import code_block
from aiev.llm.client import Chat

_render = partial(render, __file__)

_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
"""Reasoning models think aloud; their thoughts are no part of a dialogue, cut off or not."""


@dataclass(frozen=True)
class Sampling:
    """How the roles sample. Temperatures per role; most tokens an answer may have, per step."""

    questioner_temperature: float
    programmer_temperature: float
    top_p: float
    problem_tokens: int
    solution_tokens: int
    description_tokens: int


class _Role:
    """A conversation of one role with the model. It grows by each turn and shares its start with
    all others of the role, so that a server that keeps prompts reads little anew.

    example: turns that show the whole exchange, a feedback round and then a second, plain answer:
    a small model imitates what it saw last. place: of the conversation in the server's memory."""

    def __init__(self, chat: Chat, sampling: Sampling, place: int, system: str, *example: str):
        self.chat, self.sampling, self.place = chat, sampling, place
        self.messages = [{"role": "system", "content": _render(system)}]
        for turn, text in enumerate(example):
            self.messages.append({"role": ("user", "assistant")[turn % 2], "content": text})

    async def say(self, text: str, temperature: float, max_tokens: int, seed: int) -> str:
        """Put `text` to the model and return what it answers, without its thoughts."""
        self.messages.append({"role": "user", "content": text})
        answer = await self.chat.ask(
            self.messages,
            temperature=temperature,
            top_p=self.sampling.top_p,
            max_tokens=max_tokens,
            seed=seed,
            conversation=self.place,
        )
        self.messages.append({"role": "assistant", "content": answer.text})
        return _THINKING.sub("", answer.text).strip()

    def forget(self) -> None:
        """Take the last question and its answer out of the conversation."""
        del self.messages[-2:]


class Questioner(_Role):
    """Writes the problem from a seed (OSS-Instruct, arXiv 2312.02120); puts errors into words."""

    def __init__(self, chat: Chat, sampling: Sampling, place: int):
        seed = _render("propose_example_seed")
        super().__init__(
            chat,
            sampling,
            2 * place,
            "questioner",
            _render("propose", seed=seed),
            _render("propose_example"),
            _render("describe", code=_example_code(), error=_render("revise_example_error")),
            _render("describe_example"),
            _render("propose", seed=_render("propose_second_seed")),
            _render("propose_second"),
        )

    async def propose(self, seed_text: str, seed: int) -> str:
        text = _render("propose", seed=seed_text)
        most = self.sampling.problem_tokens
        return await self.say(text, self.sampling.questioner_temperature, most, seed)

    async def describe(self, code: str, error: str, seed: int) -> str:
        text = _render("describe", code=code, error=error)
        most = self.sampling.description_tokens
        return await self.say(text, self.sampling.questioner_temperature, most, seed)


class Programmer(_Role):
    """Solves the problem with unit tests, and revises code and tests after an error.

    packages: whether it is told that it may have packages installed."""

    def __init__(self, chat: Chat, sampling: Sampling, place: int, packages: bool = False):
        error, description = _render("revise_example_error"), _render("describe_example")
        super().__init__(
            chat,
            sampling,
            2 * place + 1,
            "programmer_packages" if packages else "programmer",
            _render("solve", problem=_render("propose_example")),
            _render("solve_example"),
            _render("revise", error=error, description=description),
            _render("revise_example"),
            _render("solve", problem=_render("propose_second")),
            _render("solve_second"),
        )

    async def solve(self, problem: str, seed: int) -> str:
        return await self._write(_render("solve", problem=problem), seed)

    async def revise(self, error: str, description: str, seed: int) -> str:
        return await self._write(_render("revise", error=error, description=description), seed)

    async def _write(self, text: str, seed: int) -> str:
        most = self.sampling.solution_tokens
        return await self.say(text, self.sampling.programmer_temperature, most, seed)


def _example_code() -> str:
    return code_block(_render("solve_example")) or ""
