"""Functions in Python source that make good seeds, found by syntax tree.

Only top-level functions count: methods need their class to make sense. Nothing is run or imported.
"""

import ast
import builtins
import symtable
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What ast.parse and ast.unparse raise on hostile or broken source."""


@dataclass(frozen=True)
class Function:
    """A top-level function: `text` is its exact source; `reason` is "" when it can be a seed."""

    name: str
    text: str
    reason: str


def functions(
    source: str, min_lines: int, max_lines: int, self_contained: bool
) -> Iterator[Function]:
    """Every top-level function of a module, in order. Raises one of BROKEN.

    Lines are counted from the first decorator to the last line of the body.
    self_contained: refuse a function that uses names which only its module defines.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    tree, lines = parse(source), source.split("\n")
    known = _standard_names(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        text = "\n".join(lines[first - 1 : node.end_lineno]) + "\n"
        count = node.end_lineno - first + 1
        reason = _unfit(node)
        if not reason and count < min_lines:
            reason = "too-short"
        elif not reason and count > max_lines:
            reason = "too-long"
        elif not reason and self_contained and free_names(text) - known - {node.name}:
            reason = "needs-module"
        yield Function(node.name, text, reason)


def parse(source: str) -> ast.Module:
    """ast.parse without warnings, which concern the code's author only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def normal_form(text: str) -> str:
    """Text that is equal for snippets that differ in comments, docstrings or layout only."""
    try:
        tree = parse(text)
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(tree) or " ".join(text.split())
    except BROKEN:
        return " ".join(text.split())


_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _unfit(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Why the function cannot be a seed, apart from its length; "" when it can."""
    marks = {_last_name(d) for d in node.decorator_list}
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    imports = sum(isinstance(s, ast.Import | ast.ImportFrom) for s in body)
    if isinstance(node, ast.AsyncFunctionDef):
        return "async"
    if node.name.startswith("_"):
        return "private-name"
    if node.name.lower().startswith("test"):
        return "test"
    if any(mark == "overload" or mark.startswith("abstract") for mark in marks):
        return "overload-or-abstract"
    if all(_is_empty(s) for s in body):
        return "no-body"
    return "mostly-imports" if imports * 2 > len(body) else ""


def _last_name(decorator: ast.expr) -> str:
    """`overload` for @overload, @typing.overload and @typing.overload()."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return getattr(decorator, "attr", None) or getattr(decorator, "id", "")


def _is_empty(statement: ast.stmt) -> bool:
    """`pass`, a lone constant such as `...`, or raising NotImplementedError."""
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        return _last_name(statement.exc) == "NotImplementedError"
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)


def _standard_names(tree: ast.Module) -> set[str]:
    """Names that any module has: builtins, and what this one imports from the standard library."""
    names = set(vars(builtins))
    for node in tree.body:
        if isinstance(node, ast.Import):
            found = [(alias.name, alias) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(node.module, alias) for alias in node.names]
        else:
            continue
        for module, alias in found:
            if module.partition(".")[0] in sys.stdlib_module_names:
                names.add(alias.asname or alias.name.partition(".")[0])
    return names


def free_names(text: str) -> set[str]:
    """Names that the snippet uses and does not bind itself, decorators and defaults included."""
    names: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = [symtable.symtable(text, "seed", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            outside = symbol.is_global() or (table.get_type() == "module" and not bound)
            if outside and symbol.is_referenced():
                names.add(symbol.get_name())
    return names
