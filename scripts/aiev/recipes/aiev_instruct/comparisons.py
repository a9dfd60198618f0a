"""Comparisons by unittest, pytest and math as plain expressions, which need no import.

A test that is read (shapes.py) runs beside a solution that imports none of these. What has no
expression of its own is left as it is, and no solution can confirm it.
"""

import ast
from collections.abc import Sequence

_OPERATORS = {
    **dict.fromkeys(
        [
            f"assert{kind}Equal"
            for kind in ("", "List", "Tuple", "Set", "Dict", "Sequence", "MultiLine")
        ],
        "==",
    ),
    "assertEquals": "==",
    "assertNotEqual": "!=",
    "assertIs": "is",
    "assertIsNot": "is not",
    "assertIn": "in",
    "assertNotIn": "not in",
    "assertLess": "<",
    "assertLessEqual": "<=",
    "assertGreater": ">",
    "assertGreaterEqual": ">=",
}
"""Methods of unittest.TestCase that compare two values."""

_FORMS = {
    **{method: f"({{}}) {operator} ({{}})" for method, operator in _OPERATORS.items()},
    "assertTrue": "{}",
    "assertFalse": "not ({})",
    "assertIsNone": "({}) is None",
    "assertIsNotNone": "({}) is not None",
    "assertIsInstance": "isinstance({}, {})",
    "assertCountEqual": "sorted({}) == sorted({})",
}
"""Each method's condition, with its first arguments."""


def condition_of(
    method: str, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]
) -> ast.expr | None:
    """The condition that a method of unittest.TestCase checks; None for one that is not known."""
    named = {keyword.arg: keyword.value for keyword in keywords}
    if method == "assertAlmostEqual" and len(args) >= 2:
        if "delta" in named:
            return _expression("abs(({}) - ({})) <= {}", *args[:2], named["delta"])
        places = named.get("places", args[2] if len(args) > 2 else ast.Constant(7))
        return _expression("round(({}) - ({}), {}) == 0", *args[:2], places)
    form = _FORMS.get(method)
    if form is None or len(args) < form.count("{}"):
        return None
    return _expression(form, *args[: form.count("{}")])


def plain(condition: ast.expr) -> ast.expr:
    """`a == pytest.approx(b)` and `math.isclose(a, b)`, with a number b that is written out, as
    `abs(a - b) <= tolerance`; every other condition as it is."""
    match condition:
        case ast.Compare(
            left=value, ops=[ast.Eq()], comparators=[ast.Call(args=[number]) as call]
        ) if _name(call) == "approx":
            named = _numbers(call)
            relative = 0.0 if "abs" in named and "rel" not in named else named.get("rel", 1e-6)
            return _close(value, number, relative, named.get("abs", 1e-12)) or condition
        case ast.Call(args=[one, other]) if _name(condition) == "isclose":
            named = _numbers(condition)
            given = (named.get("rel_tol", 1e-9), named.get("abs_tol", 0.0))
            return _close(one, other, *given) or _close(other, one, *given) or condition
    return condition


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _numbers(call: ast.Call) -> dict[str | None, float]:
    found = {keyword.arg: _number(keyword.value) for keyword in call.keywords}
    return {name: value for name, value in found.items() if value is not None}


def _close(value: ast.expr, number: ast.expr, relative: float, absolute: float) -> ast.expr | None:
    expected = _number(number)
    if expected is None:
        return None
    tolerance = ast.Constant(max(relative * abs(expected), absolute))
    return _expression("abs(({}) - ({})) <= {}", value, number, tolerance)


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if type(value) in (int, float) else None


def _expression(form: str, *parts: ast.expr) -> ast.expr:
    return ast.parse(form.format(*map(ast.unparse, parts)), mode="eval").body
