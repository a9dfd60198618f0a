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


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "no-signature"),
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


def test_examples_can_be_taken_out():
    text = (
        "Write `f(x)` that doubles `x`. For example, `f(1)` returns `2` and `f(2)` returns `4`.\n"
        "It never fails.\n>>> f(3)\n6"
    )
    left = without_examples(text, "f")
    assert "doubles" in left and "never fails" in left and "f(1)" not in left
