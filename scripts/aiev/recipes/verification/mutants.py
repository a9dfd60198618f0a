"""Mutants of a solution: copies with one small mistake each, which good tests notice.

The operators are the usual first-order ones (Offutt et al. 1996, "An experimental determination of
sufficient mutant operators"): arithmetic, relational, logical, constants, conditions, and the
loss of a return value. Much of Python is said in one call, which these leave as it is. So a call,
a keyword or a bound of a slice is left out, too, `min` and `max`, `any` and `all` are exchanged,
and the first parameter is returned.
"""

import ast
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from aiev.languages.python.functions import BROKEN, parse

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any"}

Change = Callable[[Any], ast.AST | None]
"""Makes a mistake in a copy of a node, or returns what takes the copy's place."""


@dataclass(frozen=True)
class Mutant:
    """operator: what was changed, such as "comparison". line: where, in the solution."""

    operator: str
    line: int
    code: str


def mutants(solution: str, limit: int, seed: int = 0) -> list[Mutant]:
    """At most `limit` mutants that differ from the solution and each other, in a seeded order in
    which every operator has its turn. None where the solution cannot be parsed."""
    try:
        tree = parse(solution)
        seen = {ast.unparse(tree)}
        found: dict[str, list[Mutant]] = {}
        for place, node in enumerate(ast.walk(tree)):
            for operator, change in _changes(node):
                copy = deepcopy(tree)
                changed = next(n for i, n in enumerate(ast.walk(copy)) if i == place)
                copy = _Put(changed, change(changed) or changed).visit(copy)
                code = ast.unparse(ast.fix_missing_locations(copy))
                if code not in seen:
                    seen.add(code)
                    line = getattr(node, "lineno", 0)
                    found.setdefault(operator, []).append(Mutant(operator, line, code))
    except BROKEN:
        return []
    order = random.Random(seed)
    groups = [found[operator] for operator in sorted(found)]
    for group in groups:
        order.shuffle(group)
    turns = (
        m
        for turn in range(max(map(len, groups), default=0))
        for g in groups
        for m in g[turn : turn + 1]
    )
    return [mutant for mutant, _ in zip(turns, range(limit), strict=False)]


class _Put(ast.NodeTransformer):
    """Puts a node in the place of another one."""

    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """The changes that a node allows: the operator, and what makes it in a copy of the node."""
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in _COMPARISONS:
                yield (
                    "comparison",
                    lambda n, p=place: _set(n.ops, p, _COMPARISONS[type(n.ops[p])]()),
                )
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield "arithmetic", lambda n: setattr(n, "op", _ARITHMETIC[type(n.op)]())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "boolean", lambda n: setattr(n, "op", other())
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield "condition", lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "return", lambda n: setattr(n, "value", ast.Constant(None))
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                yield "slice", lambda n, b=bound: setattr(n, b, None)
    elif isinstance(node, ast.Name) and node.id in _EXCHANGED:
        yield "exchange", lambda n: setattr(n, "id", _EXCHANGED[n.id])
    elif isinstance(node, ast.FunctionDef):
        yield from _parameters(node)


def _calls(node: ast.Call) -> Iterator[tuple[str, Change]]:
    """A call gives place to its first argument, or a method's to the object, or it loses a keyword;
    `range` ends one earlier."""
    if getattr(node.func, "id", "") == "range" and node.args:
        place = min(len(node.args) - 1, 1)
        yield (
            "range",
            lambda n: _set(n.args, place, ast.BinOp(n.args[place], ast.Sub(), ast.Constant(1))),
        )
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield "call", lambda n: n.args[0]
    elif not node.args and isinstance(node.func, ast.Attribute):
        yield "call", lambda n: n.func.value
    for place in range(len(node.keywords)):
        yield "keyword", lambda n, p=place: n.keywords.__delitem__(p)


def _parameters(node: ast.FunctionDef) -> Iterator[tuple[str, Change]]:
    """Each return of a function gives its first parameter back, of a method the first after it."""
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg != "self"]
    for place in range(len(_returns(node)) if names else 0):
        yield (
            "parameter",
            lambda n, p=place: setattr(_returns(n)[p], "value", ast.Name(names[0], ast.Load())),
        )


def _returns(node: ast.FunctionDef) -> list[ast.Return]:
    return [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]


def _constants(node: ast.Constant) -> Iterator[tuple[str, Change]]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", lambda n: setattr(n, "value", not n.value)
    elif isinstance(value, int | float):
        yield "constant", lambda n: setattr(n, "value", n.value + 1)
        yield "constant", lambda n: setattr(n, "value", n.value - 1)


def _set(items: list, place: int, value: object) -> None:
    items[place] = value
