"""Programs that a model wrote: split into solution and tests, stubbed. Nothing is run here."""

import ast
import symtable
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiev.languages.base import Program
from aiev.languages.markdown import unix
from aiev.languages.python.functions import BROKEN, parse


@contextmanager
def _broken_is_syntax_error() -> Iterator[None]:
    """Turn null bytes, and nesting too deep for the parser, into SyntaxError."""
    try:
        yield
    except BROKEN as error:
        raise SyntaxError(str(error) or type(error).__name__) from error


@_broken_is_syntax_error()
def split_program(code: str) -> Program:
    """Split a program into its solution (imports, definitions and what stands between them) and its
    tests (what follows the last definition, and functions named test*). Raises SyntaxError."""
    code = unix(code)
    tree = parse(code)
    definitions = [n for n in tree.body if isinstance(n, _DEFINITIONS) and not _is_test(n)]
    last = tree.body.index(definitions[-1]) if definitions else -1
    solution, tests = [], []
    for place, node in enumerate(tree.body):
        mine = isinstance(node, ast.Import | ast.ImportFrom) or (
            place <= last and not _is_test(node) and not isinstance(node, ast.Assert)
        )
        (solution if mine else tests).append(node)
    names = {n.name for n in definitions}
    calls = Counter()
    for statement in (n for part in tests for n in ast.walk(part) if isinstance(n, ast.Assert)):
        calls.update(
            {
                n.func.id
                for n in ast.walk(statement)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in names
            }
        )
    # Most calls first; among equals the one defined last, which the others help.
    order = {n.name: place for place, n in enumerate(definitions)}
    entry = max(calls, key=lambda name: (calls[name], order[name])) if calls else ""
    return Program(_text(code, solution), _text(code, tests), entry, calls[entry])


def missing_imports(reference: str, solution: str) -> str:
    """The reference's import statements, one a line, without names that the solution itself binds.

    "" if either does not parse.
    """
    try:
        tree = parse(reference)
        table = symtable.symtable(unix(solution), "solution", "exec")
    except BROKEN:
        return ""
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    lines = []
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        names = [n for n in node.names if (n.asname or n.name).partition(".")[0] not in bound]
        if names:
            node.names = names
            lines.append(ast.unparse(node) + "\n")
    return "".join(lines)


def undisclosed_names(tests: str, reference: str, entry_point: str) -> list[str]:
    """Sorted names that the tests use and only the reference defines, without its entry point and
    its imports; none if either does not parse."""
    try:
        used = {n.id for n in ast.walk(parse(tests)) if isinstance(n, ast.Name)}
        table, own = (symtable.symtable(unix(t), "", "exec") for t in (reference, tests))
    except BROKEN:
        return []
    used -= {s.get_name() for s in own.get_symbols() if s.is_assigned()}
    given = {s.get_name() for s in table.get_symbols() if s.is_assigned() and not s.is_imported()}
    return sorted(used & given - {entry_point})


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, _DEFINITIONS) and node.name.lower().startswith("test")


def _text(code: str, nodes: list[ast.stmt]) -> str:
    """The statements' own source, decorators included, one blank line between blocks."""
    lines = code.split("\n")
    parts = []
    for node in nodes:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        # Two statements on one line cannot be cut by lines; unparse() writes them anew.
        before = lines[first - 1][: node.col_offset].strip()
        after = lines[node.end_lineno - 1].encode()[node.end_col_offset :].strip()
        whole = not before and after[:1] in (b"", b"#")
        parts.append("\n".join(lines[first - 1 : node.end_lineno]) if whole else ast.unparse(node))
    return "\n".join(parts)


@_broken_is_syntax_error()
def stub(solution: str, only: str = "") -> str:
    """The solution with the body of every function replaced by `return None`, or of those alone
    that the definition `only` holds. Raises SyntaxError."""
    tree = parse(solution)
    chosen = [n for n in tree.body if isinstance(n, _DEFINITIONS) and n.name == only] or [tree]
    for node in (part for each in chosen for part in ast.walk(each)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Return(ast.Constant(None))]
    return ast.unparse(ast.fix_missing_locations(tree))


@_broken_is_syntax_error()
def without_prints(code: str) -> str:
    """The program without its top-level and nested calls of print. Raises SyntaxError."""
    return ast.unparse(_Silent().visit(parse(code)))


class _Silent(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        shows = isinstance(called, ast.Name) and called.id == "print"
        return ast.copy_location(ast.Pass(), node) if shows else node
