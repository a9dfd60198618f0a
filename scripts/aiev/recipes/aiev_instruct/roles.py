"""The two roles that one model plays, with a conversation each."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiev.llm.client import ChatClient
from aiev.recipes.aiev_instruct import grammars
from aiev.recipes.aiev_instruct.prompt_sets import PromptSet
from aiev.recipes.aiev_instruct.settings import Sampling


@dataclass(frozen=True)
class Reply:
    """What a role answered. cut: the token limit ended it."""

    text: str
    cut: bool


class _Role:
    """A conversation of one role with the model. It grows by each turn, so that a server that
    keeps prompts reads little anew.

    place: of the conversation in the server's memory. system: "" for none. again: whether an answer
    could not be used.
    """

    again = False

    def __init__(self, chat: ChatClient, sampling: Sampling, place: int, system: str):
        self.chat, self.sampling, self.place = chat, sampling, place
        self.messages = [{"role": "system", "content": system}] if system else []

    def show(self, examples: Iterable[tuple[str, str]]) -> None:
        """Put few-shot turns, question and answer each, into a conversation without any turn."""
        if any(message["role"] == "user" for message in self.messages):
            return
        for question, answer in examples:
            self.messages.append({"role": "user", "content": question})
            self.messages.append({"role": "assistant", "content": answer})

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
    """Writes the problem from a seed (OSS-Instruct, arXiv 2312.02120); puts errors into words.

    packages: whether it is told that solutions may have packages installed.
    """

    def __init__(
        self,
        chat: ChatClient,
        sampling: Sampling,
        prompts: PromptSet,
        place: int,
        packages: bool = False,
    ):
        self.prompts = prompts
        system = prompts.system(prompts.questioner, packages)
        super().__init__(chat, sampling, 2 * place, system)
        self.show(prompts.proposed())
        self._start = len(self.messages)

    async def propose(self, seed_text: str, seed: int, language: str = "python") -> Reply:
        """Write a problem, inspired by a snippet in any programming language, or by prose
        (language "text")."""
        text = self.prompts.propose(seed_text, language)
        limit, temperature = self.sampling.problem_tokens, self.sampling.questioner_temperature
        bound = self.prompts.questioner.problem_form == "grammar"
        return await self.say(text, temperature, limit, seed, grammars.PROBLEM if bound else None)

    async def describe(self, code: str, error: str, seed: int) -> Reply:
        """Put an error into words. Each starts from the problem, and not from earlier errors."""
        del self.messages[self._start + 2 :]
        text = self.prompts.fill(self.prompts.questioner.describe, code=code, error=error)
        limit = self.sampling.description_tokens
        return await self.say(text, self.sampling.questioner_temperature, limit, seed)


class Programmer(_Role):
    """Solves the problem, writes tests for it, and revises the solution after an error.

    packages: whether it is told that it may have packages installed.
    """

    def __init__(
        self,
        chat: ChatClient,
        sampling: Sampling,
        prompts: PromptSet,
        place: int,
        packages: bool = False,
    ):
        self.prompts, self._turns = prompts, prompts.programmer
        system = prompts.system(prompts.programmer, packages)
        super().__init__(chat, sampling, 2 * place + 1, system)

    async def solve(self, problem: str, name: str, seed: int) -> Reply:
        """Solve the problem, with words about the solution. The first time greedily, by default: a
        small model is right more often so (docs/verification.md)."""
        self.show(self.prompts.solved())
        text = self._fill(self._turns.solve, problem=problem, function=name)
        sampling = self.sampling
        temperature = (
            sampling.programmer_temperature if self.again else sampling.solution_temperature
        )
        return await self.say(text, temperature, sampling.solution_tokens, seed)

    async def vote(self, problem: str, name: str, seed: int) -> Reply:
        """Solve the problem once more, to vote on tests: sampled more freely, and code alone, which
        is right as often and costs half as many tokens (docs/verification.md)."""
        text = self._fill(self._turns.vote, problem=problem, function=name)
        limit, temperature = self.sampling.solution_tokens, self.sampling.independent_temperature
        return await self.say(text, temperature, limit, seed)

    async def test(self, problem: str, name: str, seed: int) -> Reply:
        """Write tests from the description alone."""
        text = self._fill(self._turns.tests, problem=problem, function=name)
        limit, temperature = self.sampling.tests_tokens, self.sampling.programmer_temperature
        bound = self._turns.tests_form == "grammar"
        return await self.say(
            text, temperature, limit, seed, grammars.tests(name) if bound else None
        )

    async def revise(self, name: str, error: str, description: str, seed: int) -> Reply:
        values = {"error": error, "description": description, "function": name}
        text = self._fill(self._turns.revise, **values)
        limit = self.sampling.solution_tokens
        return await self.say(text, self.sampling.programmer_temperature, limit, seed)

    def _fill(self, file: str, **values: str) -> str:
        return self.prompts.fill(file, **values)
