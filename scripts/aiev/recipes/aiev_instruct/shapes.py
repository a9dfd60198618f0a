"""Tests of any shape as single assert statements, on each of which solutions can vote.

Read are asserts at any depth, unittest's methods, loops over tables that are written out,
parametrised functions, and names that stand for one value. Nothing is run here: what cannot be
taken apart is left out, and what was read wrongly is confirmed by no solution.
"""

import ast
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import islice

from aiev.languages.python.functions import BROKEN, parse
from aiev.recipes.aiev_instruct.comparisons import condition_of, plain

MAX_STATEMENTS = 1000
"""Statements that are read of one text, in all rows of its tables: loops in loops have many."""

MAX_NODES = 200
"""Of a value that takes the place of a name: values of values can grow without end."""

Known = dict[str, ast.expr]


def asserts_in(text: str) -> list[ast.Assert]:
    """The asserts of a text, in order and without messages; of one that does not parse, those of
    its lines that do."""
    found: list[ast.Assert] = []
    try:
        found.extend(_Reader().block(parse(text).body, {}))
    except BROKEN:
        for line in text.split("\n"):
            try:
                found.extend(_Reader().block(parse(line.strip().strip("`")).body, {}))
            except BROKEN:
                continue
    return found


class _Reader:
    """Reads one text."""

    left = MAX_STATEMENTS

    def block(self, body: Iterable[ast.stmt], outer: Known) -> Iterator[ast.Assert]:
        """The asserts of a block. outer: what names stand for where it begins."""
        known = dict(outer)
        for node in body:
            self.left -= 1
            if self.left < 0:
                return
            match node:
                case ast.Assert():
                    yield ast.Assert(plain(_filled(node.test, known)))
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    _bind_name(name, _filled(value, known), known)
                case ast.Expr(value=ast.Call(func=ast.Attribute(attr=method)) as call) if (
                    condition := _condition(method, call, known)
                ):
                    yield ast.Assert(plain(condition))
                case ast.For():
                    _forget(_stored(node), known)
                    rows = _rows(node.target, _filled(node.iter, known), known)
                    yield from self._each(node.body, rows, known)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield from self._each(node.body, _parametrised(node, known), known)
                case _:
                    yield from self._other(node, known)

    def _each(
        self, body: list[ast.stmt], rows: Iterable[Known], known: Known
    ) -> Iterator[ast.Assert]:
        """The asserts of a block, for each row; once where there is none."""
        some = False
        for row in rows:
            some = True
            yield from self.block(body, row)
        if not some:
            yield from self.block(body, known)

    def _other(self, node: ast.stmt, known: Known) -> Iterator[ast.Assert]:
        """The asserts in a statement that is taken as it is. It may change what it mentions."""
        inside = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
        mentioned = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        _forget(_stored(node) if any(inside) else mentioned, known)
        for body in inside:
            yield from self.block(body, known)


def _condition(method: str, call: ast.Call, known: Known) -> ast.expr | None:
    args = [_filled(each, known) for each in call.args]
    keywords = [ast.keyword(each.arg, _filled(each.value, known)) for each in call.keywords]
    return condition_of(method, args, keywords)


def _parametrised(node: ast.FunctionDef | ast.AsyncFunctionDef, known: Known) -> list[Known]:
    """What is known in a function's body, once for each row of pytest.mark.parametrize."""
    arguments = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    found = [{name: value for name, value in known.items() if name not in arguments}]
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[names, table, *_]):
                target, rows = _target(names), _filled(table, known)
                every = (bound for each in found for bound in _rows(target, rows, each))
                found = list(islice(every, MAX_STATEMENTS))
    return found


def _target(names: ast.expr) -> ast.expr:
    """The names of a parametrised function, "a, b" or ("a", "b"), as the target of a loop. One name
    in a text takes a row as it is, as in pytest."""
    match names:
        case ast.Constant(value=str(text)):
            found = [each.strip() for each in text.split(",")]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            found = [str(getattr(each, "value", "")) for each in elements]
        case _:
            found = []
    targets = [ast.Name(each, ast.Store()) for each in found if each]
    one = len(targets) == 1 and isinstance(names, ast.Constant)
    return targets[0] if one else ast.Tuple(targets)


def _rows(target: ast.expr, table: ast.expr, known: Known) -> Iterator[Known]:
    """What is known in a loop's body, for each row of a table that is written out."""
    for row in _elements(table):
        bound = dict(known)
        if _bind(target, row, bound):
            yield bound


def _elements(table: ast.expr) -> list[ast.expr]:
    """What a loop over an expression goes through; nothing where that is not written out."""
    match table:
        case ast.List(elts=rows) | ast.Tuple(elts=rows) | ast.Set(elts=rows):
            return rows
        case ast.Dict(keys=keys):
            return [key for key in keys if key]
        case ast.Call(func=ast.Attribute(value=ast.Dict(keys, values), attr="items"), args=[]):
            return [ast.Tuple([k, v]) for k, v in zip(keys, values, strict=True) if k]
        case ast.Call(func=ast.Name(id="zip"), args=columns):
            return [ast.Tuple(list(row)) for row in zip(*map(_elements, columns), strict=False)]
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner]):
            return [ast.Tuple([ast.Constant(n), row]) for n, row in enumerate(_elements(inner))]
    return []


def _bind(target: ast.expr, value: ast.expr, known: Known) -> bool:
    """Let the names of a target stand for a value's parts. Returns whether they fit."""
    match target, value:
        case ast.Name(id=name), _:
            _bind_name(name, value, known)
            return True
        case ast.Tuple(elts=targets), ast.Call(func=ast.Attribute(attr="param"), args=values):
            pass
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) | ast.List(elts=values):
            pass
        case _:
            return False
    pairs = zip(targets, values, strict=False)
    return len(targets) == len(values) and all(_bind(*pair, known) for pair in pairs)


def _bind_name(name: str, value: ast.expr, known: Known) -> None:
    known.pop(name, None)
    if sum(1 for _ in ast.walk(value)) <= MAX_NODES:
        known[name] = value


def _forget(names: Iterable[str], known: Known) -> None:
    for name in names:
        known.pop(name, None)


def _stored(node: ast.AST) -> set[str]:
    """Names that something in the node binds."""
    return {
        each.id if isinstance(each, ast.Name) else each.arg
        for each in ast.walk(node)
        if (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
        or isinstance(each, ast.arg)
    }


def _filled(node: ast.expr, known: Known) -> ast.expr:
    """The expression with values in the place of known names, but for those that it binds."""
    own = _stored(node)
    return _Fill({name: value for name, value in known.items() if name not in own}).visit(
        deepcopy(node)
    )


class _Fill(ast.NodeTransformer):
    """Puts values in the place of names, and takes out what is taken out of them: an item, or the
    arguments of a call."""

    def __init__(self, known: Known):
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return deepcopy(self.known[node.id]) if node.id in self.known else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        of_test = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if of_test and node.attr in self.known:
            return deepcopy(self.known[node.attr])
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        match node.value, node.slice:
            case ast.Dict(keys=keys, values=values), ast.Constant(value=wanted):
                found = [
                    value
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == wanted
                ]
                return found[-1] if found else node
            case (
                (ast.List(elts=elements) | ast.Tuple(elts=elements)),
                ast.Constant(value=int(place)),
            ) if place < len(elements):
                return elements[place]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        args: list[ast.expr] = []
        for each in node.args:
            match each:
                case ast.Starred(value=ast.List(elts=elements) | ast.Tuple(elts=elements)):
                    args += elements
                case _:
                    args.append(each)
        keywords: list[ast.keyword] = []
        for each in node.keywords:
            match each:
                case ast.keyword(arg=None, value=ast.Dict(keys=keys, values=values)) if all(
                    isinstance(key, ast.Constant) and str(key.value).isidentifier() for key in keys
                ):
                    pairs = zip(keys, values, strict=True)
                    keywords += [ast.keyword(key.value, value) for key, value in pairs]
                case _:
                    keywords.append(each)
        return ast.Call(node.func, args, keywords)
