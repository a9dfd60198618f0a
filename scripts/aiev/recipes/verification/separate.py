"""Part a program into its solution and its tests, by what each statement does.

Nothing is run. What counts as a test is decided later, by what the tests do when they run.
"""

import ast
from collections import Counter
from dataclasses import dataclass

from aiev.languages.markdown import unix
from aiev.languages.python.functions import BROKEN, parse
from aiev.recipes.verification.boxed.instrument import is_check

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Parts:
    """solution, tests: source text. imports: statements that both need, one each.
    entry_point: the function that the tests call most; "" where they call none of the solution's.
    """

    solution: str
    tests: str
    imports: tuple[str, ...]
    entry_point: str


def separate(code: str) -> Parts:
    """Split a program. Raises SyntaxError for what cannot be parsed or written out again.

    Tests are definitions that check others and return nothing, whatever calls one of those, and
    what stands behind the last definition of the solution.
    """
    try:
        tree = parse(unix(code))
        return _separate(tree)
    except BROKEN as error:
        raise SyntaxError(str(error) or type(error).__name__) from error


def asserts(tests: str) -> frozenset[str]:
    """The assert statements of a source text, in one spelling."""
    try:
        nodes = list(ast.walk(parse(tests)))
    except BROKEN:
        return frozenset({tests})
    return frozenset(ast.unparse(node) for node in nodes if isinstance(node, ast.Assert))


def _separate(tree: ast.Module) -> Parts:
    names = {n.name for n in tree.body if isinstance(n, _DEFINITIONS)}
    tests = _test_definitions(tree, names)
    own = names - tests
    last = max((i for i, n in enumerate(tree.body) if getattr(n, "name", "") in own), default=-1)
    solution, rest, imports = [], [], []
    for place, node in enumerate(tree.body):
        if isinstance(node, _IMPORTS):
            solution.append(node)
            if getattr(node, "module", "") != "__future__":
                imports.append(ast.unparse(node))
        elif isinstance(node, _DEFINITIONS):
            (rest if node.name in tests else solution).append(node)
        elif place > last or is_check(node) or _used(node) & tests or _is_main(node):
            rest += node.body if _is_main(node) else [node]
        else:
            solution.append(node)
    calls = Counter(
        n.func.id
        for part in rest
        for n in ast.walk(part)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in own
    )
    order = [n.name for n in tree.body if isinstance(n, _DEFINITIONS)]
    entry = max(calls, key=lambda name: (calls[name], order.index(name))) if calls else ""
    return Parts(_text(solution), _text(rest), tuple(imports), entry)


def _test_definitions(tree: ast.Module, names: set[str]) -> set[str]:
    """Names of the definitions that belong to the tests."""
    nodes = {n.name: n for n in tree.body if isinstance(n, _DEFINITIONS)}
    found = {name for name, node in nodes.items() if _tests_others(node, names)}
    while True:
        callers = {
            name
            for name, node in nodes.items()
            if name not in found and _used(node) & found and not _returns(node)
        }
        if not callers:
            return found
        found |= callers


def _tests_others(node: ast.stmt, names: set[str]) -> bool:
    if node.name.lower().startswith("test"):
        return True
    bases = getattr(node, "bases", [])
    if any(ast.unparse(base).endswith("TestCase") for base in bases):
        return True
    checks = any(isinstance(n, ast.stmt) and is_check(n) for n in ast.walk(node))
    asserts = checks and any(isinstance(n, ast.Assert) for n in ast.walk(node))
    function = isinstance(node, ast.FunctionDef)
    return function and asserts and not _returns(node) and bool(_used(node) & names - {node.name})


def _used(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _returns(node: ast.AST) -> bool:
    """Whether it gives back a value that a caller may need."""
    return any(
        isinstance(n, ast.Yield | ast.YieldFrom) or (isinstance(n, ast.Return) and n.value)
        for n in ast.walk(node)
    )


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _text(nodes: list[ast.stmt]) -> str:
    return "\n".join(map(ast.unparse, nodes))
