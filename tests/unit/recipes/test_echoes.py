"""Drafts that take over an argument of the few-shot examples."""

import pytest

from aiev.recipes.aiev_instruct.echoes import distinctive, echoes, shown_arguments
from aiev.recipes.aiev_instruct.prompt_sets import load
from aiev.recipes.verification.contract import read_contract


@pytest.mark.parametrize(
    "value",
    [
        *("a/b/c", "12:30", "two words"),
        *(["a", "c", "a"], ["b", "b"], [2, 1], [[1], [3]], [5, "five"], ("x", 1), {7, 9}),
        *({"a": 2}, {"a": 3, "b": 4}, {1: {"x": True}}),
    ],
)
def test_what_nobody_would_write_by_chance(value):
    assert distinctive(value)


@pytest.mark.parametrize(
    "value",
    [
        *(0, 7, -2.5, True, None, "", "/", "abc", "ABC", "hello"),
        *([], {}, set(), [5], ["word"], [[]]),
        *([0, 1, 2], [1, 2, 3, 4], ["a", "b"], ["A", "B"], {"a": 1, "b": 2}, [[1, 2], [3]]),
    ],
)
def test_what_anybody_would_write(value):
    assert not distinctive(value)


def test_the_shipped_few_shot_arguments():
    shown = shown_arguments(load("small"))
    assert shown[:2] == ["a/b/c", "/home//x/"]
    assert shown[2:] == [{"a": 3, "b": 4}, ["a", "c", "a"], {"a": 2}, {"a": 2}]
    assert shown_arguments(load("strong")) == []


@pytest.mark.parametrize(
    ("examples", "echo"),
    [
        ("`f('a/b/c', 1)` returns `2`, `f('x', 1)` returns `3`", True),
        ("`f('x', 1)` returns `3`, `f('y', n={'a': 2})` returns `2`", True),
        ("`f('a/b', 1)` returns `2`, `f([], {})` returns `3`", False),
        ("`f('/', ['a', 'b'])` returns `2`, `f(('a', 'c', 'a'), 2)` returns `3`", False),
        ("`f('x', 1)` returns `'a/b/c'`, `f('y', 1)` returns `{'a': 2}`", False),  # results
    ],
)
def test_an_argument_of_a_few_shot_example(examples, echo):
    contract = read_contract(f"Write `f(x, n)`. {examples}.")
    assert contract.flaw == "" and len(contract.examples) == 2
    assert echoes(contract, shown_arguments(load("small"))) is echo
