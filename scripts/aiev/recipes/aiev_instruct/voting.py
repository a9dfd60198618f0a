"""Independent solutions vote on tests: how many are asked for, and when no more are.

After CodeT (Chen et al. 2022, arXiv 2207.10397): the solutions are sampled from the problem alone,
and see neither the tests nor the solution under test.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.consensus import agreement, can_still_change
from aiev.recipes.verification.observe import Case, observe
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

    async def confirm(self, tests: list[str], enough: int, needs_all: bool = False) -> list[str]:
        """The tests that enough solutions pass, in their order.

        No more solutions are asked for than can still confirm a test, none once `enough` tests are
        confirmed, and, where it needs all, none once a test cannot be confirmed any more.
        """
        while True:
            agreed = await self._count(tests)
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

    async def _count(self, tests: list[str]) -> dict[str, int]:
        """How many of the solutions pass each test."""
        if not self.solutions or not tests:
            return dict.fromkeys(tests, 0)
        parts = Parts("", "\n".join(tests), (), self.entry_point)
        script = Script("", requirements=self.requirements)
        cases = [Case(solution) for solution in self.solutions]
        seen, _ = await asyncio.to_thread(observe, self.interpreter, script, parts, cases)
        counts = agreement([(number, 1) for number in range(len(tests))], seen)
        return {test: counts[number, 1] for number, test in enumerate(tests)}
