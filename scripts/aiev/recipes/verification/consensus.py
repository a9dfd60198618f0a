"""Dual execution agreement: tests are believed when independent solutions agree with them.

After CodeT (Chen et al. 2022, arXiv 2207.10397). The solutions are sampled from the description
alone, by answers that see neither the tests nor the solution under test.
"""

import ast
from collections.abc import Sequence

from aiev.recipes.verification.observe import Key, Observation


def agreement(tests: Sequence[Key], others: Sequence[Observation]) -> dict[Key, int]:
    """How many of the other solutions pass each test. One that never reached it does not."""
    return {key: sum(other.results.get(key, False) for other in others) for key in tests}


def alike(own: Observation, others: Sequence[Observation]) -> int:
    """How many of the other solutions gave the same outputs to all of the tests' calls."""
    return sum(outputs(other) == outputs(own) for other in others)


def alike_on_inputs(own: Observation, others: Sequence[Observation]) -> list[int]:
    """For each check of the observation, how many of the others made its calls with the same
    outputs. An exception is an output, whatever it says."""
    return [
        sum(other.calls.get(key) == calls for other in others) for key, calls in own.calls.items()
    ]


def outputs(seen: Observation) -> tuple:
    """Every call that the tests made, with what came of it."""
    return tuple(call for calls in seen.calls.values() for call in calls)


def distinct(solutions: Sequence[str]) -> int:
    """How many solutions differ in more than layout; an empty one does not count."""
    known = set()
    for solution in filter(str.strip, solutions):
        try:
            known.add(ast.dump(ast.parse(solution)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            known.add(solution)
    return len(known)


def can_still_change(agreed: int, asked: int, total: int, needed: int) -> bool:
    """Whether asking for more solutions could change if a test is confirmed.

    agreed of `asked` solutions agree so far; at most `total` are asked; `needed` confirm.
    """
    return agreed < needed <= agreed + total - asked
