"""EvalPlus's extraction of code: what it finds, and that no answer can stop it."""

import pytest
from evalplus.sanitize import code_extract
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.evaluation.evalplus.chat import longest_code, sanitized

LINES = st.sampled_from(
    [
        *("def f(x):", "    return x", "\ty = 1", "import os", "class A:", "x = (", "1)", "0", "@"),
        *("", "  ", '"""', "Sure, here:", "```python", "```", "\u2028"),
    ]
)


@given(st.lists(LINES, max_size=9).map("\n".join))
@settings(max_examples=300, deadline=None)
def test_the_faster_search_finds_what_evalplus_finds(text):
    # Imported above, before sanitized() puts the faster one in its place.
    assert longest_code(text) == code_extract(text)


def test_code_is_taken_out_of_its_words():
    parts = ["import math", "def f(x):\n    return g(x)", "def g(x):\n    return 1"]
    code = "\n\n".join([*parts, "print(f(2))"])
    assert sanitized(f"Sure:\n```python\n{code}\n```\nIt adds.", "f") == "\n".join(parts)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "\n\n",
        "I cannot do that.",
        "\0",
        "(" * 5000,
        "def f(",
        "\ud800",
        "x = " + "-" * 99999 + "1",
    ],
)
def test_answers_without_usable_code(answer):
    assert sanitized(answer, "f") == ""


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_answer_raises(answer):
    sanitized(answer, "f")


def test_an_endless_answer_is_cut():
    assert sanitized("def f(x):\n    return x\n" + "f(1)\n" * 5000, "f").startswith("def f(x)")
