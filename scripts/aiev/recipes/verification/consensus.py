"""Dual execution agreement: tests are believed when independent solutions agree with them.

After CodeT (Chen et al. 2022, arXiv 2207.10397). The solutions are sampled from the description
alone, by answers that see neither the tests nor the solution under test.
"""

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiev.languages.python.functions import BROKEN
from aiev.recipes.verification.observe import Key, Observation


def agreement(tests: Sequence[Key], others: Sequence[Observation]) -> dict[Key, int]:
    """How many of the other solutions pass each test. One that never reached it does not."""
    return {key: sum(other.results.get(key, False) for other in others) for key in tests}


def alike(own: Observation, others: Sequence[Observation]) -> int:
    """How many of the other solutions gave the same outputs to all of the tests' calls."""
    return sum(outputs(other) == outputs(own) for other in others)


def on_inputs(observations: Sequence[Observation], count: int) -> list[list[int]]:
    """For each of `count` inputs that can be compared, how many of the other solutions gave the
    first one's output, and how many gave one.

    An input is left out if most of the solutions raise an exception or give none: the problem does
    not ask for it, or it takes too long. So is one whose outputs have no literal, as objects and
    long ones have none.
    """
    found = []
    for number in range(count):
        own, *others = (_output(seen, number) for seen in observations)
        known = [output for output in others if output is not None]
        returned = [output for output in (own, *known) if isinstance(output, _Returned)]
        if 2 * len(returned) > len(observations) and all(o.value is not _OBJECT for o in returned):
            found.append([sum(_same(own, output) for output in known), len(known)])
    return found


_OBJECT = object()
"""A value that has no literal."""


@dataclass(frozen=True)
class _Returned:
    """What a call returned, and its arguments if it changed them."""

    value: Any


def _output(seen: Observation, number: int) -> _Returned | str | None:
    """What came of a check's call: a value, the exception's name, or None if it never ended."""
    calls = seen.calls.get((number, 1))
    if not calls:
        return None
    text = calls[-1][2]
    if text.startswith("raised "):
        return text
    try:
        return _Returned(ast.literal_eval(text))
    except (*BROKEN, TypeError):
        return _Returned(_OBJECT)


def _same(one: _Returned | str | None, other: _Returned | str | None) -> bool:
    if isinstance(one, _Returned) and isinstance(other, _Returned):
        return _equal(one.value, other.value)
    return one == other


def _equal(one: Any, other: Any) -> bool:
    """Equal values of one type; floats up to what another order of additions may change."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return one == other


def outputs(seen: Observation) -> tuple:
    """Every call that the tests made, with what came of it."""
    return tuple(call for calls in seen.calls.values() for call in calls)


def distinct(solutions: Sequence[str]) -> int:
    """How many solutions differ in more than layout; an empty one does not count."""
    known = set()
    for solution in filter(str.strip, solutions):
        try:
            known.add(ast.dump(ast.parse(solution)))
        except BROKEN:
            known.add(solution)
    return len(known)


def can_still_change(agreed: int, asked: int, total: int, needed: int) -> bool:
    """Whether asking for more solutions could change if a test is confirmed.

    agreed of `asked` solutions agree so far; at most `total` are asked; `needed` confirm.
    """
    return agreed < needed <= agreed + total - asked
