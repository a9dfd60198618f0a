"""Independent solutions vote on tests: how many are asked for, and when no more are.

After CodeT (Chen et al. 2022, arXiv 2207.10397): the solutions are sampled from the problem alone,
and see neither the tests nor the solution under test.
"""

import ast
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.llm.failures import Unanswerable
from aiev.recipes.verification.consensus import agreement, can_still_change
from aiev.recipes.verification.observe import Case, Observation, observe
from aiev.recipes.verification.separate import Parts


@dataclass
class Voters:
    """The independent solutions of one problem.

    ask: returns one more, "" for an answer without a program. most: so many are asked for.
    agreeing: so many confirm a test. solutions: those so far. requirements: packages that they
    need.
    """

    ask: Callable[[], Awaitable[str]]
    interpreter: Interpreter
    entry_point: str
    most: int
    agreeing: int
    solutions: list[str] = field(default_factory=list)
    requirements: tuple[str, ...] = ()
    _seen: dict[tuple, list[Observation]] = field(default_factory=dict)

    async def confirm(self, tests: list[str], enough: int, needs_all: bool = False) -> list[str]:
        """The tests that enough solutions pass, in their order.

        No more solutions are asked for than can still confirm a test, none once `enough` tests are
        confirmed, and, where it needs all, none once a test cannot be confirmed any more.
        """
        while True:
            agreed = await self.agreed(tests)
            confirmed = [test for test in tests if agreed[test] >= self.agreeing]
            asked, missing = len(self.solutions), len(tests) - len(confirmed)
            undecided = sum(
                can_still_change(count, asked, self.most, self.agreeing)
                for count in agreed.values()
            )
            hopeless = needs_all and undecided < missing
            if len(confirmed) >= enough or not undecided or hopeless:
                return confirmed
            # The first ones at once: fewer cannot confirm anything.
            for _ in range(max(1, self.agreeing - asked)):
                self.solutions.append(await self.ask())

    async def agreed(self, tests: list[str]) -> dict[str, int]:
        """How many of the solutions so far pass each test."""
        return _count(tests, await self._watch(tests))

    async def results(self, tests: list[str], needed: int) -> list[tuple[int, Counter[str]]]:
        """For each test, how many solutions pass it, and how many return which value from its call,
        as source text; values that are no literals are left out.

        Solutions are asked for as long as a test may still get `needed` equal values.
        """
        while True:
            seen = await self._watch(tests)
            agreed = _count(tests, seen)
            found = [(agreed[test], _values(number, seen)) for number, test in enumerate(tests)]
            left = self.most - len(self.solutions)
            open_tests = [
                passed < self.agreeing and max(values.values(), default=0) + left >= needed
                for passed, values in found
            ]
            if left <= 0 or not any(open_tests):
                return found
            self.solutions.append(await self.ask())

    async def complete(self) -> None:
        """Ask for all solutions that there may be: each says more about the dialogue's own. Where
        there is no answer, it is an empty one."""
        while len(self.solutions) < self.most:
            try:
                self.solutions.append(await self.ask())
            except Unanswerable:
                self.solutions.append("")

    async def _watch(self, tests: list[str]) -> list[Observation]:
        """The tests on each of the solutions; only those that are new are run."""
        if not tests:
            return []
        seen = self._seen.setdefault((self.requirements, *tests), [])
        cases = [Case(solution) for solution in self.solutions[len(seen) :]]
        if cases:
            parts = Parts("", "\n".join(tests), (), self.entry_point)
            script = Script("", requirements=self.requirements)
            new, _ = await asyncio.to_thread(observe, self.interpreter, script, parts, cases)
            seen += new
        return seen


def _count(tests: list[str], seen: list[Observation]) -> dict[str, int]:
    """How many of the solutions pass each test."""
    counts = agreement([(number, 1) for number in range(len(tests))], seen)
    return {test: counts[number, 1] for number, test in enumerate(tests)}


def _values(number: int, seen: list[Observation]) -> Counter[str]:
    """What the last call of a test returned, over all solutions."""
    values = [observation.values.get((number, 1), "") for observation in seen]
    return Counter(value for value in values if _is_literal(value))


def _is_literal(text: str) -> bool:
    """Whether a value's source text can be read back: it is no object."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False
    return True
