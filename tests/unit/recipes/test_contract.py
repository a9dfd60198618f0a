"""Examples of a problem, read from texts as models write them."""

import pytest

from aiev.recipes.verification.contract import read_contract, without_examples


def pairs(text):
    return [(e.call, e.result) for e in read_contract(text).examples]


@pytest.mark.parametrize(
    "text",
    [
        "Write a function `f(x)`. For example, `f(1)` returns `2` and `f('a')` returns `[3, 'b']`.",
        "Write `f(x)`.\nf(1) == 2\nf('a') == [3, 'b']",
        "Write `f(x)`.\n\n>>> f(1)\n2\n>>> f('a')\n[3, 'b']\n",
        'Write `f(x)`.\nExamples:\n- f(1) -> 2\n- f("a") -> [3, "b"].\n',
        "Write `f(x)`. Example: `f(1)` should return 2, while `f('a')` should return [3, 'b'].",
        "def f(x):\n\nassert f(1) == 2\nassert f('a') == [3, 'b']",
        "Write `f(x)`. `f(1) = 2`; `f('a')` gives `[3, 'b']`.",
        "Write `f(x)`.\nf(1) ➞ 2\nf('a') ➞ [3, 'b']",
        "Write `f(x)`.\n```python\nf(1)  # returns 2\nf('a')  # => [3, 'b']\n```",
    ],
)
def test_spellings(text):
    assert pairs(text) == [("f(1)", "2"), ("f('a')", "[3, 'b']")]


STRONG = """# Merging the shifts of a ward

**Background.** Nurses sign up for shifts as `(start, end)` pairs, in hours since Monday, 0:00.

Implement a function `merge_shifts(shifts: list[tuple[int, int]], gap: int = 0) -> list[list[int]]`
by these rules:

1. Shifts that overlap, or that lie at most `gap` hours apart, are merged.
2. A shift whose end is not after its start is left out.

| kind | kept |
|---|---|
| night | yes |

## Examples

- `merge_shifts([(0, 8), (6, 14)])` returns `[[0, 14]]` (they overlap)
- `merge_shifts([(0, 8), (9, 14)], gap=1)` returns `[[0, 14]]`
- **Edge case:** `merge_shifts([], 5)` returns `[]`
"""
"""A problem as a strong teacher writes it."""


def test_the_contract_of_a_problem_with_headings_lists_and_tables():
    contract = read_contract(STRONG)
    assert (contract.flaw, contract.entry_point) == ("", "merge_shifts")
    assert pairs(STRONG) == [
        ("merge_shifts([(0, 8), (6, 14)])", "[[0, 14]]"),
        ("merge_shifts([(0, 8), (9, 14)], gap=1)", "[[0, 14]]"),
        ("merge_shifts([], 5)", "[]"),
    ]


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "no-signature"),
        # What is asked for is a class, or its examples are blocks of input and output.
        ("Write a class `Stack(size)` with `push` and `pop`.", "too-few-examples"),
        ("Write `f(x)`.\n\nInput: 1\nOutput: 2\n\nInput: 2\nOutput: 3", "too-few-examples"),
        ("Write `f(x)`.\n`f(1)` returns `2`\n`f(2)` returns `3`\n```python\nx\n```", "holds-code"),
        ("def f(x):\n    '''\n    >>> f(1)\n    2\n    >>> f(2)\n    3\n    '''", "holds-code"),
        ("Add two numbers. For example, 1 and 2 give 3.", "no-signature"),
        ("Write `f(x)` that doubles `x`.", "too-few-examples"),
        ("Write `f(x)`: `f(1)` returns `2`.", "too-few-examples"),
        ("Write `f(x)`: `f(1)` returns `2`, and again `f(1)` returns `2`.", "too-few-examples"),
        ("Write `f(x)`: `f(1)` returns `2` and `f(1)` returns `3`, `f(2)` is 4.", "contradictory"),
        # Values that cannot be read: words, a name, a call, a random one, a file's.
        ("Write `f(x)`: `f(1)` returns the sum, `f(2)` returns `y`.", "too-few-examples"),
        ("Write `f(x)`: `f(1)` returns `g(2)`, `f(2)` returns a random one.", "too-few-examples"),
        ("Write `f(p)`: `f(open('a'))` returns `2`, `f(path)` returns `3`.", "too-few-examples"),
        ("Write `f(x)`: `f(" + "(" * 500 + "1` returns `2`.", "too-few-examples"),
        # No value: the beginning of a calculation.
        ("Write `f(x)`: f(1) ==> 19 - 5 - 6 = 8; f(2) == 1 + 9.", "too-few-examples"),
        ("Write `f(x)`: `f(1)` raises `ValueError`, `f(2)` raises an error.", "too-few-examples"),
    ],
)  # fmt: skip
def test_what_is_no_contract(text, flaw):
    assert read_contract(text).flaw == flaw


TWO = "`f(1)` returns `2`, `f(2)` returns `3`, "


@pytest.mark.parametrize(
    "more",
    [
        "`f(xyy)` returns `3`",  # a bare word
        "f(xyy) => False",
        "`f(3)` returns the sum",
        "`f(3)` returns `g(2)`",
        "f(3) == 1 + 9",
        "`f(3)` should be four",
        "`f(float('inf'))` returns `0`",
        "`f(**{})` returns `0`",
        ">>> f(3)\n<object>",
    ],
)
def test_an_example_that_cannot_be_read_is_not_passed_over(more):
    contract = read_contract(f"Write `f(x)`. {TWO}{more}.")
    assert contract.flaw == "unread-examples"
    assert [e.call for e in contract.examples] == ["f(1)", "f(2)"]


@pytest.mark.parametrize(
    "more",
    [
        "and `f(x)` returns `x` plus one",  # of all values
        "f(x) = f(x - 1) + 1",
        "and `f(x - 1)` is smaller",
        "and `f()` is to be short",  # names the function
        "though `f(3)` isn't asked for",
        "long before `f(3)` became known",
        "and `f(3)` raises `ValueError`",
    ],
)
def test_what_is_no_example(more):
    assert read_contract(f"Write `f(x)`. {TWO}{more}.").flaw == ""


@pytest.mark.parametrize(
    ("signature", "flaw"),
    [
        ("`f(x)`", ""),
        ("`f(x: list[tuple[int, int]], n: int = (1, 2)[0]) -> int`", ""),
        ("`f(*numbers)`", ""),
        ("the function `f()`; that is `f(x)`", ""),
        ("`f(x, ...)`", ""),  # no signature that can be read
        ("`f(x, x)`", ""),
        ("`f()`", "contradictory"),
        ("`f(x, y)`", "contradictory"),
        ("`f(*, x)`", "contradictory"),
        ("`f(x, *, n)`", "contradictory"),
    ],
)
def test_examples_have_the_arguments_of_the_signature(signature, flaw):
    assert read_contract(f"Write {signature}. {TWO}").flaw == flaw


def test_arguments_by_name_fit_their_parameters():
    given = "`f(1, step=2)` returns `3`, `f(start=1)` returns `1`"
    assert read_contract(f"Write `f(start, step=1)`: {given}.").flaw == ""
    assert read_contract(f"Write `f(start, **more)`: {given}.").flaw == ""
    assert read_contract(f"Write `f(start, end)`: {given}.").flaw == "contradictory"


def test_examples_can_be_taken_out():
    text = (
        "Write `f(x)` that doubles `x`. For example, `f(1)` returns `2` and `f(2)` returns `4`.\n"
        "It never fails.\n>>> f(3)\n6"
    )
    left = without_examples(text, "f")
    assert "doubles" in left and "never fails" in left and "f(1)" not in left
