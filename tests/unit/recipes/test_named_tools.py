"""What a problem says to use or not to use, and the solution's own way."""

import pytest

from aiev.recipes.verification.named_tools import against_the_text

REVERSED = "def f(text):\n    return ''.join(reversed(text))\n"
SLICE = "def f(text):\n    return text[::-1]\n"


@pytest.mark.parametrize(
    ("words", "reversing", "slicing"),
    [
        ("using the built-in `reversed` function", [], ["reversed"]),
        ("Use Python's `reversed`.", [], ["reversed"]),
        ("Use only `reversed()`.", [], ["reversed"]),
        ("by calling `reversed`", [], ["reversed"]),
        ("without using `reversed`", ["reversed"], []),
        ("Do not use the built-in `reversed` function.", ["reversed"], []),
        ("You don't use `reversed`.", ["reversed"], []),
        ("You cannot use `reversed`.", ["reversed"], []),
        ("Don\N{RIGHT SINGLE QUOTATION MARK}t use `reversed`.", ["reversed"], []),
        ("You are not allowed to use `reversed`.", ["reversed"], []),
        ("Do not directly use `reversed`.", ["reversed"], []),
        ("Swap the letters instead of using `reversed`.", ["reversed"], []),
        ("Swap the letters rather than using `reversed`.", ["reversed"], []),
        ("without the built-in `reversed`", ["reversed"], []),
        ("Avoid `reversed`.", ["reversed"], []),
        ("Join it using the `join` method.", [], ["join"]),
        ("Join it using `join()`.", [], ["join"]),
        ("Join it using `str.join`.", [], ["str.join"]),
        ("Use the `itertools` module.", ["itertools"], ["itertools"]),
        ("Use `itertools.chain`.", ["itertools.chain"], ["itertools.chain"]),
        # Not a tool, or not asked for.
        ("You may use `reversed`.", [], []),
        ("You can use the `itertools` module.", [], []),
        ("a text with `reversed` words", [], []),
        ("like `reversed` does", [], []),
        ("using the separator `sep`", [], []),
        ("using `text`", [], []),
        ("using a `list`", [], []),
        ("using `f`", [], []),
        ("Use `None` where there is none.", [], []),
        ("using a join of words", [], []),
    ],
)
def test_words_and_solutions(words, reversing, slicing):
    problem = f"Write a function `f(text)` that turns a text round. {words}"
    assert against_the_text(problem, REVERSED) == reversing
    assert against_the_text(problem, SLICE) == slicing


def test_a_module_is_used_where_it_is_imported_or_something_of_it():
    problem = "Write `f(a)`, using the `collections` module. Use `collections.Counter`."
    imports = ("import collections", "from collections import Counter")
    uses = ("collections.Counter", "Counter")
    for head, use in zip(imports, uses, strict=True):
        assert against_the_text(problem, f"{head}\ndef f(a):\n    return {use}(a)\n") == []
    assert against_the_text(problem, "def f(a):\n    return a\n") == [
        "collections",
        "collections.Counter",
    ]


def test_a_solution_that_cannot_be_read_says_nothing():
    assert against_the_text("Use `sorted`.", "def f(:") == []
