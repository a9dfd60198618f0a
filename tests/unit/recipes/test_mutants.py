"""Mutants: one small mistake each, all different, in an order that a seed decides."""

import ast

import pytest

from aiev.recipes.verification.mutants import mutants


@pytest.mark.parametrize(
    ("expression", "operator", "mutant"),
    [
        ("x < 7", "comparison", "x <= 7"),
        ("x in y", "comparison", "x not in y"),
        ("x + y", "arithmetic", "x - y"),
        ("x and y", "boolean", "x or y"),
        ("7", "constant", "8"),
        ("7", "constant", "6"),
        ("True", "constant", "False"),
        ("y if x else y", "condition", "y if not x else y"),
        ("range(x)", "range", "range(x - 1)"),
        ("range(y, x)", "range", "range(y, x - 1)"),
        ("x", "return", "None"),
    ],
)
def test_each_operator(expression, operator, mutant):
    found = mutants(f"def f(x, y):\n    return {expression}\n", 50)
    assert (operator, f"def f(x, y):\n    return {mutant}") in [(m.operator, m.code) for m in found]


def test_they_differ_and_are_limited():
    source = "def f(x):\n    if x > 1 and x < 5:\n        return x * 2 + 1\n    return [0, 0, 0]\n"
    every = mutants(source, 100)
    codes = [m.code for m in every]
    assert len(set(codes)) == len(codes) and ast.unparse(ast.parse(source)) not in codes
    few = mutants(source, 5)
    assert few == every[:5] and len({m.operator for m in few}) == 5
    assert mutants(source, 100, seed=1) != every
    assert {m.code for m in mutants(source, 100, seed=1)} == set(codes)


def test_what_cannot_be_parsed_has_none():
    assert mutants("def f(:", 5) == [] and mutants("pass", 5) == []
    assert mutants("x = " + "-" * 50000 + "1", 5) == []
