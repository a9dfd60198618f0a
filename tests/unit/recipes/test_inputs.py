"""Mutated inputs, made of the calls in a program's tests."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.recipes.verification.inputs import MAX_CALL, mutated_calls

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
CALLS = st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=4)


def arguments(call):
    return [ast.literal_eval(value) for value in ast.parse(call, mode="eval").body.args]


@settings(deadline=None)
@given(CALLS, st.integers(0, 20))
def test_calls_keep_their_types_and_are_new(calls, limit):
    texts = [f"f({', '.join(map(repr, call))})" for call in calls]
    tests = "\n".join(f"assert {text} == 1" for text in texts)
    found = mutated_calls(tests, "f", limit)
    assert found == mutated_calls(tests, "f", limit)
    assert len(found) == len(set(found)) <= limit and not set(found) & set(texts)
    shapes = {tuple(map(type, call)) for call in calls}
    assert all(tuple(map(type, arguments(call))) in shapes for call in found)
    assert found == sorted(found, key=len) and all(len(call) <= MAX_CALL for call in found)


def test_calls_are_changed_wherever_a_test_makes_them():
    tests = "for n in [f('ab', 2)]:\n    assert n == len(f('abc', 3)) + 1\n"
    found = mutated_calls(tests, "f", 16)
    assert len(found) == 16
    assert any(len(arguments(call)[0]) > 3 for call in found), "a text that is longer"
    assert {arguments(call)[1] for call in found} - {2, 3}, "another number"


@pytest.mark.parametrize(
    "tests",
    [
        "",
        "assert f() == 1",
        "assert f(x) == 1",
        "assert f(1, key=2) == 1",
        "assert g(1) == 1",
        f"assert f({'9' * 400}) == 1",
        "assert f({[1]: 2}) == 1",
        "assert f(1e999) == 1",
        "assert f(None) == 1",
        "assert f([]) == 1",
        "assert f({1, 2}) == 1",
        "assert f(",
    ],
)
def test_nothing_to_change(tests):
    assert mutated_calls(tests, "f", 8) == []
