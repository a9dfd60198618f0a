"""The two roles that one model plays, with a conversation each."""

from dataclasses import dataclass
from functools import partial

from aiev.core.templates import render
from aiev.llm.client import ChatClient
from aiev.recipes.aiev_instruct import grammars
from aiev.recipes.aiev_instruct.settings import Sampling

_render = partial(render, __file__)


@dataclass(frozen=True)
class Reply:
    """What a role answered. cut: the token limit ended it."""

    text: str
    cut: bool


class _Role:
    """A conversation of one role with the model. It grows by each turn, so that a server that
    keeps prompts reads little anew.

    place: of the conversation in the server's memory. again: whether an answer could not be used.
    """

    again = False

    def __init__(self, chat: ChatClient, sampling: Sampling, place: int, system: str):
        self.chat, self.sampling, self.place = chat, sampling, place
        self.messages = [{"role": "system", "content": _render(system)}]

    async def say(
        self, text: str, temperature: float, max_tokens: int, seed: int, grammar: str | None = None
    ) -> Reply:
        """Put `text` to the model and return what it answers, without its thoughts."""
        self.messages.append({"role": "user", "content": text})
        answer = await self.chat.complete(
            self.messages,
            temperature=temperature,
            top_p=self.sampling.top_p,
            max_tokens=max_tokens,
            seed=seed,
            grammar=grammar,
            conversation=self.place,
            more_room=True,
        )
        self.messages.append({"role": "assistant", "content": answer.text})
        return Reply(answer.text.strip(), answer.cut_off)

    def forget(self) -> None:
        """Take the last question and its answer out of the conversation."""
        del self.messages[-2:]
        self.again = True


class Questioner(_Role):
    """Writes the problem from a seed (OSS-Instruct, arXiv 2312.02120); puts errors into words."""

    def __init__(self, chat: ChatClient, sampling: Sampling, place: int):
        super().__init__(chat, sampling, 2 * place, "questioner")
        # Without examples a 0.5B teacher answers with code: 0 of 42 proposals could be used.
        # These two show the form of a problem only; no tests, errors or revisions.
        for name in ("example", "second"):
            seed = _render(f"propose_{name}_seed")
            question = _render("propose", seed=seed, language="python")
            self.messages.append({"role": "user", "content": question})
            self.messages.append({"role": "assistant", "content": _render(f"propose_{name}")})
        self._start = len(self.messages)

    async def propose(self, seed_text: str, seed: int, language: str = "python") -> Reply:
        """Write a problem, inspired by a snippet in any programming language, or by prose
        (language "text")."""
        if language == "text":
            text = _render("propose_text", seed=seed_text.strip())
        else:
            text = _render("propose", seed=seed_text, language=language)
        limit, temperature = self.sampling.problem_tokens, self.sampling.questioner_temperature
        return await self.say(text, temperature, limit, seed, grammars.PROBLEM)

    async def describe(self, code: str, error: str, seed: int) -> Reply:
        """Put an error into words. Each starts from the problem, and not from earlier errors."""
        del self.messages[self._start + 2 :]
        text = _render("describe", code=code, error=error)
        limit = self.sampling.description_tokens
        return await self.say(text, self.sampling.questioner_temperature, limit, seed)


class Programmer(_Role):
    """Solves the problem, writes tests for it, and revises the solution after an error.

    packages: whether it is told that it may have packages installed.
    """

    def __init__(self, chat: ChatClient, sampling: Sampling, place: int, packages: bool = False):
        system = "programmer_packages" if packages else "programmer"
        super().__init__(chat, sampling, 2 * place + 1, system)

    async def solve(self, problem: str, name: str, seed: int) -> Reply:
        """Solve the problem, with a sentence about the solution. The first time greedily, by
        default: a small model is right more often so (docs/verification.md)."""
        text = _render("solve", problem=problem, function=name)
        sampling = self.sampling
        temperature = (
            sampling.programmer_temperature if self.again else sampling.solution_temperature
        )
        return await self.say(text, temperature, sampling.solution_tokens, seed)

    async def vote(self, problem: str, name: str, seed: int) -> Reply:
        """Solve the problem once more, to vote on tests: sampled more freely, and code alone, which
        is right as often and costs half as many tokens (docs/verification.md)."""
        text = _render("vote", problem=problem, function=name)
        limit, temperature = self.sampling.solution_tokens, self.sampling.independent_temperature
        return await self.say(text, temperature, limit, seed)

    async def test(self, problem: str, name: str, seed: int) -> Reply:
        """Write tests from the description alone."""
        text = _render("tests", problem=problem, function=name)
        limit, temperature = self.sampling.tests_tokens, self.sampling.programmer_temperature
        return await self.say(text, temperature, limit, seed, grammars.tests(name))

    async def revise(self, name: str, error: str, description: str, seed: int) -> Reply:
        text = _render("revise", error=error, description=description, function=name)
        limit = self.sampling.solution_tokens
        return await self.say(text, self.sampling.programmer_temperature, limit, seed)
