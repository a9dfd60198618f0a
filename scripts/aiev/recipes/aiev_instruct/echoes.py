"""Drafts that take over an argument of the few-shot examples, in place of an idea of their seed.

Only an argument counts at which one does not arrive by chance:
  text           of four characters or more, and not of letters alone: "a/b/c", but not "/" or "abc"
  a collection   of two plain values or more (keys of a dictionary too), unless these are the first
                 letters and numbers in order: ["a", "c", "a"] and {"a": 2}, but not [], [5],
                 [1, 2, 3] or {"a": 1, "b": 2}
Numbers, True, False and None do not count.
"""

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any

from aiev.recipes.aiev_instruct.prompt_sets import PromptSet
from aiev.recipes.verification.contract import Contract, read_contract

MIN_TEXT = 4
MIN_VALUES = 2


def shown_arguments(prompts: PromptSet) -> list[Any]:
    """The distinctive arguments in the problems that the Questioner is shown."""
    contracts = [read_contract(answer) for _, answer in prompts.proposed()]
    return [value for contract in contracts for value in _arguments(contract) if distinctive(value)]


def echoes(contract: Contract, shown: list[Any]) -> bool:
    """Whether an example of the draft has one of these arguments."""
    return any(
        type(value) is type(known) and value == known
        for value in _arguments(contract)
        for known in shown
    )


def distinctive(value: Any) -> bool:
    """Whether nobody would write just this value by chance."""
    if isinstance(value, str | bytes):
        return len(value) >= MIN_TEXT and not value.isalpha()
    plain = list(_plain(value))
    return len(plain) >= MIN_VALUES and not _first_in_order(plain)


def _arguments(contract: Contract) -> list[Any]:
    return [value for example in contract.examples for value in example.arguments]


def _plain(value: Any) -> Iterator[Any]:
    """The values in a collection, however deep; a plain value itself."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set):
        for each in value:
            yield from _plain(each)
    else:
        yield value


def _first_in_order(values: list[Any]) -> bool:
    texts = [value.lower() for value in values if isinstance(value, str)]
    others = [value for value in values if not isinstance(value, str)]
    count = len(others)
    letters = texts == list(ascii_lowercase[: len(texts)])
    return letters and others in (list(range(count)), list(range(1, count + 1)))
