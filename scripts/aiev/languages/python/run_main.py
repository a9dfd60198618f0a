"""Runs main.py inside the sandbox as an interpreter would, and explains a failed assert.

This file is copied into the box; it stands alone. A failed `assert left == right` gets a note with
the value of `left`, so that a person or a model who fixes the program sees what came out. The
program is changed to keep that value during the assert: computing it again could give another
value, or wait for ever.
"""

import ast
import builtins
import sys
import traceback
import types
from contextlib import suppress

NAME = "main.py"
LEFT = "@left"
"""The variable for the value: no program can have one of this name."""
MAX_VALUE = 200
"""Characters of a value that a note shows."""


def keep_left_sides(tree: ast.Module) -> dict[tuple, ast.expr]:
    """Have the asserts that are plain comparisons keep their left sides; these, by the place of the
    comparison.

    Those right in a class body are left alone: the class could take the variable for a member.
    """
    found = {}
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and not isinstance(node, ast.ClassDef):
                block[:] = [new for old in block for new in _keeping(old, found)]
    return found


def _keeping(statement: ast.stmt, found: dict[tuple, ast.expr]) -> list[ast.stmt]:
    """`assert (@left := left) == right; del @left` for `assert left == right`."""
    test = statement.test if isinstance(statement, ast.Assert) else None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return [statement]
    left = test.left
    if isinstance(left, ast.Constant):  # its value can be read, and Python warns of `1 is x`
        return [statement]
    found[test.lineno, test.end_lineno, test.col_offset, test.end_col_offset] = left
    named, deleted = ast.Name(LEFT, ast.Store()), ast.Delete([ast.Name(LEFT, ast.Del())])
    test.left = ast.copy_location(ast.NamedExpr(ast.copy_location(named, left), left), left)
    return [statement, ast.fix_missing_locations(ast.copy_location(deleted, test))]


def explain(error: AssertionError, kept: dict[tuple, ast.expr]) -> None:
    """Note the left side's value, if it was one of those asserts that failed."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    frame = last.tb_frame
    place = list(frame.f_code.co_positions())[last.tb_lasti // 2]
    if frame.f_code.co_filename != NAME or place not in kept or LEFT not in frame.f_locals:
        return
    try:
        value = repr(frame.f_locals[LEFT])
        left = ast.unparse(kept[place])
    except BaseException:  # also sys.exit(): the failed assert is what is reported
        return
    value = value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + "..."
    error.add_note(f"{left} is {value}")


def compiled(source: str) -> tuple[types.CodeType, dict[tuple, ast.expr]]:
    """The compiled program, and the left sides that its asserts keep."""
    tree = ast.parse(source, NAME)
    with suppress(RecursionError):  # it may be too deep for Python as a tree, and not as a text
        kept = keep_left_sides(tree)
        return compile(tree, NAME, "exec"), kept
    return compile(source, NAME, "exec"), {}


def run(path: str, module: types.ModuleType | None = None) -> int:
    """Run the program; its exit status as the interpreter's would be. module: what it runs as, with
    the names that are there already."""
    with open(path, encoding="utf-8", errors="replace") as file:
        source = file.read()
    # unittest, doctest, pickle and others look for the program here.
    module = sys.modules["__main__"] = module or types.ModuleType("__main__")
    module.__file__, module.__builtins__ = NAME, builtins
    kept = {}
    try:
        code, kept = compiled(source)
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, AssertionError):
            explain(error, kept)
        inner = error.__traceback__
        while inner and inner.tb_frame.f_globals is globals():  # ours, not the program's
            inner = inner.tb_next
        if isinstance(error, SyntaxError) and inner and inner.tb_frame.f_code.co_filename != NAME:
            inner = None
        traceback.print_exception(type(error), error, inner)
        return 1
    return 0


if __name__ == "__main__":
    sys.argv = [NAME]
    sys.exit(run(NAME))
