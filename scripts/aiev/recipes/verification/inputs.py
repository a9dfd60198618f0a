"""Mutated inputs: calls like those of the tests, on which independent solutions are compared.

Nobody knows the right results for them, but a solution that passed by luck may give other outputs
here than the rest. The changes are type-aware mutations, after EvalPlus (Liu et al. 2023, arXiv
2305.01210): values keep their types, and new ones come from other calls of the same tests. Nobody
says either whether the problem allows an input: consensus.on_inputs leaves out those on which most
solutions fail.
"""

import ast
import random
from collections.abc import Sequence
from typing import Any

from aiev.core.hashing import of_text
from aiev.languages.python.functions import BROKEN, parse

MAX_CALL = 300
"""Characters of a call; a longer one is neither changed nor made."""
TRIES = 6
"""Changes that are tried for each call that is wanted: some give a call that is known already."""


def mutated_calls(tests: str, name: str, limit: int) -> list[str]:
    """At most `limit` calls of the function that differ from each other and from those in the
    tests, as source text, small ones first; always the same for the same tests.

    Only calls whose arguments are literals without sets, none of them by name, are changed.
    """
    known = _calls(tests, name)
    if not known:
        return []
    calls = list(known.values())
    others: dict[type, list[Any]] = {}
    for arguments in calls:
        for value in arguments:
            _gather(value, others)
    chance = random.Random(of_text("\n".join(known)))
    found: dict[str, None] = {}
    for turn in range(limit * TRIES):
        if len(found) == limit:
            break
        arguments = list(calls[turn % len(calls)])
        place = chance.randrange(len(arguments))
        arguments[place] = _mutated(arguments[place], chance, others)
        call = f"{name}({', '.join(map(repr, arguments))})"
        if len(call) <= MAX_CALL and call not in known:
            found[call] = None
    # A call that takes too long ends the comparison, and a large value is the likelier one.
    return sorted(found, key=lambda call: (len(call), call))


def _calls(tests: str, name: str) -> dict[str, list[Any]]:
    """The calls of the function in the tests that can be changed, as source text, and the arguments
    of each."""
    try:
        nodes = list(ast.walk(parse(tests)))
    except BROKEN:
        return {}
    found = {}
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
            if node.keywords or any(isinstance(n, ast.Set) for n in ast.walk(node)):
                continue  # the text of a set is another one in another process
            try:
                values = [ast.literal_eval(value) for value in node.args]
                ast.literal_eval(repr(values))  # an infinite number has no literal
            except (*BROKEN, TypeError):
                continue
            call = f"{name}({', '.join(map(repr, values))})"
            if values and len(call) <= MAX_CALL:
                found[call] = values
    return found


def _gather(value: Any, others: dict[type, list[Any]]) -> None:
    """Put the value and all that it holds into the lists of their types."""
    same = others.setdefault(type(value), [])
    if value not in same:
        same.append(value)
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, list | tuple | dict):
        for part in parts:
            _gather(part, others)


def _mutated(value: Any, chance: random.Random, others: dict[type, list[Any]]) -> Any:
    """The value with one change, or another one of its type."""
    kind = type(value)
    if kind is bool:
        return not value
    if kind in (int, float):
        return chance.choice([value - 1, value + 1, value + chance.randint(2, 9), *others[kind]])
    if kind is str:
        return chance.choice([*_texts(value, chance, others[str]), *others[str]])
    if kind in (list, tuple):
        if not value:
            return chance.choice(others[kind])
        return kind(_items(list(value), chance, others))
    if kind is dict and value:
        key = chance.choice(list(value))
        if len(value) > 1 and chance.random() < 0.5:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: _mutated(value[key], chance, others)}
    return value


def _texts(text: str, chance: random.Random, others: Sequence[str]) -> list[str]:
    """The text without a part of it, with a part or a character twice, reversed, with a character
    of another text in it, with a character in the other case, and with one more space."""
    if not text:
        return []
    start = chance.randrange(len(text))
    end = chance.randrange(start, len(text)) + 1
    letters = "".join(others)
    return [
        text[:start] + text[end:],
        text[:end] + text[start:],
        text[:start] + text[start] + text[start:],
        text[::-1],
        text[:start] + chance.choice(letters) + text[start + 1 :],
        text[:start] + text[start].swapcase() + text[start + 1 :],
        text[:start] + " " + text[start:],
    ]


def _items(items: list[Any], chance: random.Random, others: dict[type, list[Any]]) -> list[Any]:
    """The items without one, with one twice, with one changed, or in another order."""
    place = chance.randrange(len(items))
    match chance.randrange(4):
        case 0:
            return items[:place] + items[place + 1 :]
        case 1:
            return items[: place + 1] + items[place:]
        case 2:
            return [*items[:place], _mutated(items[place], chance, others), *items[place + 1 :]]
    chance.shuffle(items)
    return items
