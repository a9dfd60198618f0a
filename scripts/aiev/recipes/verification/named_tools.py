"""Tools that a problem's text names: what it says to use, or to do without.

A solution that does otherwise may pass every test, and its words then claim what is not so: seen in
a dialogue about "the built-in `reversed` function", whose solution is a slice.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator

_ASKED = re.compile(
    r"""(?:(?P<without>(?:\b(?:not|cannot|never)|n\W?t|\b(?:instead|rather)\s+(?:of|than))
                       (?:\s+(?:be|to|directly|allowed|permitted|ever|simply))*
                       \s+(?:use|using|call|calling)
                      |\b(?:without|avoid|avoiding)(?:\s+(?:using|calling))?)
        |(?<!may\s)(?<!can\s)(?<!could\s)(?<!might\s)\b(?:use|uses|using|via|by\s+calling))\s+
    (?:(?:the|a|an|python(?:\W?s)?|built-?in|standard|library(?:\W?s)?|only)\s+)*
    `(?P<name>[A-Za-z_][\w.]*)(?P<call>\(\))?`(?:\s+(?P<what>\w+))?""",
    re.VERBOSE | re.IGNORECASE,
)
_TYPES = (str, bytes, list, tuple, dict, set)
_METHODS = {name for kind in _TYPES for name in dir(kind) if not name.startswith("_")}
_FUNCTIONS = {
    name
    for name, value in vars(builtins).items()
    if callable(value) and not isinstance(value, type) and not name.startswith("_")
} | {"reversed", "enumerate", "zip", "map", "filter", "range"}
"""Without the types, of which a literal is as good."""


def against_the_text(problem: str, solution: str) -> list[str]:
    """Tools that the problem says to use and the solution does not, and those that it says not to
    use and the solution does; sorted. Looked for are Python's own functions, modules of the
    standard library and what is in them, and methods of strings and containers, in backticks."""
    try:
        tree = ast.parse(solution)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    own = set(_own_names(tree))
    used = set(_used(tree))
    found = set()
    for match in _ASKED.finditer(problem):
        name, last = match["name"], match["name"].rpartition(".")[2]
        method = match["call"] or (match["what"] or "").lower() == "method"
        tool = (
            name.partition(".")[0] in sys.stdlib_module_names
            or name in _FUNCTIONS
            or (last in _METHODS and (method or "." in name))
        )
        if tool and name not in own and (last in used) == bool(match["without"]):
            found.add(name)
    return sorted(found)


def _own_names(tree: ast.AST) -> Iterator[str]:
    """Functions, classes and parameters of the solution: a problem may name these too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.arg):
            yield node.arg


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (part for alias in node.names for part in alias.name.split("."))
            yield from (getattr(node, "module", None) or "").split(".")
