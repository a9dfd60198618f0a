"""Tests, rewritten so that each check is reported when it happens.

A check is a statement that fails when a result is wrong: `assert`, a call of something named
assert..., `with raises(...)`, `if ...: raise`. It becomes the body of `with @check(number):`, which
reports how it ended and goes on, so that one run tells how every check ends, and no check is lost
in an `except`.
"""

import ast

CHECK, REACHED, ENTERED = "@check", "@reached", "@entered"
"""Names that no program can have."""


def is_check(node: ast.stmt) -> bool:
    """Whether the statement is a check."""
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return called_name(node.value).lower().startswith(("assert", "fail"))
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items]
        names = [called_name(c) for c in calls if isinstance(c, ast.Call)]
        return any(name.startswith(("raises", "assertRaises", "assertWarns")) for name in names)
    if isinstance(node, ast.If) and not node.orelse:
        return isinstance(node.body[-1], ast.Raise)
    return False


def called_name(call: ast.Call) -> str:
    """The last name of what is called: `assertEqual` of `self.assertEqual(...)`."""
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


def never_holds(node: ast.stmt) -> bool:
    """`assert False`, `self.fail()`, `raise AssertionError`: a line that must not be reached."""
    if isinstance(node, ast.Assert):
        return isinstance(node.test, ast.Constant) and not node.test.value
    if isinstance(node, ast.Raise):
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return getattr(error, "id", "") == "AssertionError"
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and called_name(call) == "fail"


class Instrument(ast.NodeTransformer):
    """Rewrites a module of tests. checks: {line, text} of each check, by its number."""

    def __init__(self):
        self.checks: list[dict] = []

    def number(self, node: ast.stmt) -> ast.Constant:
        self.checks.append({"line": node.lineno, "text": ast.unparse(node)[:300]})
        return ast.Constant(len(self.checks) - 1)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and is_check(node):
            return self.wrapped(node)
        return super().generic_visit(node)

    def wrapped(self, node: ast.stmt) -> ast.stmt:
        item = ast.withitem(ast.Call(ast.Name(CHECK, ast.Load()), [self.number(node)], []))
        return ast.copy_location(ast.With([item], [node]), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node = super().generic_visit(node)
        if node.name.lower().startswith("test"):
            call = ast.Call(ast.Name(ENTERED, ast.Load()), [ast.Constant(node.name)], [])
            node.body.insert(0, ast.Expr(call))
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """`try: f(-1); assert False` with an `except ValueError`: the handler is what has to be
        reached, and the check holds when it is."""
        bodies = (node.body, node.orelse)
        barrier = next((s for body in bodies for s in body if never_holds(s)), None)
        if barrier is None:
            return super().generic_visit(node)
        number = self.number(barrier)
        for body in bodies:
            body[:] = [_reached(number, False) if s is barrier else self.visit(s) for s in body]
        for handler in node.handlers:
            self.generic_visit(handler)
            kind = getattr(handler.type, "id", "")
            handler.body.insert(0, _reached(number, kind != "AssertionError"))
        return node


def _reached(number: ast.Constant, holds: bool) -> ast.stmt:
    call = ast.Call(ast.Name(REACHED, ast.Load()), [number, ast.Constant(holds)], [])
    return ast.Expr(call)


def instrument(source: str) -> tuple[list, list[dict], set[str]]:
    """The code of each statement, the checks, and the names that the tests use."""
    tree = ast.parse(source)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    rewriter = Instrument()
    tree = ast.fix_missing_locations(rewriter.visit(tree))
    codes = [compile(ast.Module([s], []), "tests", "exec") for s in tree.body]
    return codes, rewriter.checks, names
