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


def alike(own: Observation, others: Sequence[Observation]) -> list[bool]:
    """For each of the other solutions, whether it gave the same outputs to all of the tests' calls.

    Values are compared, and their texts only where they have no literal.
    """
    outcomes = _outcomes(own)
    return [_all_same(outcomes, _outcomes(other)) for other in others]


def ran(seen: Observation) -> bool:
    """Whether a call of the solution returned: one that only raises says nothing of the tests."""
    return any(isinstance(outcome, _Returned) for outcome in _outcomes(seen))


def on_inputs(
    own: Observation, others: Sequence[Observation], counted: Sequence[bool], count: int
) -> list[list[bool | None]]:
    """For each of `count` inputs that can be compared, whether each of the other solutions gave
    `own`'s output; None where it gave none.

    counted: which of the others decide what can be compared. An input is left out if most of these
    and `own` raise an exception or give no output: the problem does not ask for it, or it takes too
    long. So is one whose outputs have no literal, as objects and long ones have none.
    """
    found = []
    for number in range(count):
        mine, outputs = _output(own, number), [_output(other, number) for other in others]
        deciding = [mine, *(o for o, counts in zip(outputs, counted, strict=True) if counts)]
        returned = [output for output in deciding if isinstance(output, _Returned)]
        if 2 * len(returned) > len(deciding) and all(o.value is not _OBJECT for o in returned):
            found.append([None if o is None else _same(mine, o) for o in outputs])
    return found


_OBJECT = object()
"""A value that has no literal."""


@dataclass(frozen=True)
class _Returned:
    """What a call returned, and its arguments if it changed them; `text`: the same as reported."""

    value: Any
    text: str


def _outcomes(seen: Observation) -> list[_Returned | str]:
    """What came of each call that the tests made."""
    return [_read(outcome) for calls in seen.calls.values() for *_, outcome in calls]


def _output(seen: Observation, number: int) -> _Returned | str | None:
    """What came of a check's last call; None if it never ended."""
    calls = seen.calls.get((number, 1))
    return _read(calls[-1][2]) if calls else None


def _read(outcome: str) -> _Returned | str:
    """A value, or the exception's name."""
    if outcome.startswith("raised "):
        return outcome
    try:
        return _Returned(ast.literal_eval(outcome), outcome)
    except (*BROKEN, TypeError):
        return _Returned(_OBJECT, outcome)


def _all_same(some: Sequence[_Returned | str], others: Sequence[_Returned | str]) -> bool:
    return len(some) == len(others) and all(map(_same, some, others))


def _same(one: _Returned | str | None, other: _Returned | str | None) -> bool:
    if isinstance(one, _Returned) and isinstance(other, _Returned):
        if _OBJECT in (one.value, other.value):
            return one.text == other.text
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
