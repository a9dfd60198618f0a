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
        ("7", "parameter", "x"),
        ("sorted(y, key=len)", "call", "y"),
        ("sorted(y, key=len)", "keyword", "sorted(y)"),
        ("y.strip()", "call", "y"),
        ("y.strip(7)", "call", "7"),
        ("max(x, y)", "exchange", "min(x, y)"),
        ("any(x)", "exchange", "all(x)"),
        ("x[y:7]", "slice", "x[:7]"),
        ("x[y:7]", "slice", "x[y:]"),
        ("x[::y]", "slice", "x[:]"),
    ],
)
def test_each_operator(expression, operator, mutant):
    found = mutants(f"def f(x, y):\n    return {expression}\n", 50)
    assert (operator, f"def f(x, y):\n    return {mutant}") in [(m.operator, m.code) for m in found]


def test_one_line_has_more_than_the_stub():
    """Tests of sorted words, say, hold for the words as they are: that is a mutant of its own."""
    found = mutants("def f(words):\n    return sorted(words, key=len)\n", 12)
    assert {m.code.partition("return ")[2] for m in found} == {"None", "words", "sorted(words)"}


def test_a_method_does_not_return_itself():
    code = "class A:\n    def f(self, x):\n        return 7\n    def g(self):\n        return 8\n"
    said = {m.code.partition("return ")[2].partition("\n")[0] for m in mutants(code, 50)}
    assert "x" in said and "self" not in said


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
