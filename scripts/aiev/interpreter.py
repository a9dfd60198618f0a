"""Runs main.py inside the sandbox as an interpreter would, and says more of a failed assert.

This file is copied into the box; it stands alone. A failed `assert left == right` gets a note with
the value of `left`, so that whoever mends the program, man or model, sees what came out.
"""

import ast
import sys
import traceback

NAME = "main.py"
LONGEST = 200
"""Characters of a value that a note shows."""


def compared(tree: ast.Module, line: int) -> ast.Compare | None:
    """The comparison of the assert statement that covers `line`, if it is a plain one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= line <= node.end_lineno:
            return node.test if isinstance(node.test, ast.Compare) else None
    return None


def explain(error: AssertionError, tree: ast.Module) -> None:
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    if last.tb_frame.f_code.co_filename != NAME:
        return
    test = compared(tree, last.tb_lineno)
    if test is None or len(test.ops) != 1:
        return
    frame = last.tb_frame
    code = compile(ast.Expression(test.left), NAME, "eval")
    try:
        value = repr(eval(code, frame.f_globals, frame.f_locals))
    except BaseException:  # sys.exit() too: the assert that failed has the last word
        return
    value = value if len(value) <= LONGEST else value[:LONGEST] + "..."
    error.add_note(f"{ast.unparse(test.left)} is {value}")


def run(path: str) -> int:
    """Run the program; its exit status as the interpreter's would be."""
    with open(path, encoding="utf-8", errors="replace") as file:
        source = file.read()
    tree = ast.Module([], [])
    try:
        tree = ast.parse(source, NAME)
        exec(compile(source, NAME, "exec"), {"__name__": "__main__", "__file__": NAME})
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, AssertionError):
            explain(error, tree)
        # The frame of exec() above is ours, not the program's.
        inner = error.__traceback__.tb_next if error.__traceback__ else None
        if isinstance(error, SyntaxError) and inner and inner.tb_frame.f_code.co_filename != NAME:
            inner = None
        traceback.print_exception(type(error), error, inner)
        return 1
    return 0


if __name__ == "__main__":
    sys.argv = [NAME]
    sys.exit(run(NAME))
