"""Runs main.py inside the sandbox as an interpreter would, and explains a failed assert.

This file is copied into the box; it stands alone. A failed `assert left == right` gets a note with
the value of `left`, so that a person or a model who fixes the program sees what came out. The
program is changed to keep that value during the assert: computing it again could give another
value, or wait for ever.

Only what an interpreter has loaded anyway is imported at the start: `ast` and what it needs would
take as long as Python itself.
"""

import builtins
import codecs
import io
import os
import sys

TYPE_CHECKING = False  # that of typing takes as long as ast
if TYPE_CHECKING:
    import ast
    import types

NAME = "main.py"
LEFT = "@left"
"""The variable for the value: no program can have one of this name."""
INTERRUPT = 2  # the signal of KeyboardInterrupt
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where a node of the tree has statements, or what has some."""
PARSE_ONLY = 0x400  # of compile
MAX_VALUE = 200
"""Characters of a value that a note shows."""


def keep_left_sides(tree: "ast.Module") -> dict[tuple, "ast.expr"]:
    """Have the asserts that are plain comparisons keep their left sides; these, by the place of the
    comparison.

    Those of a class body are left alone: the class could take the variable for a member. So are all
    where Python leaves asserts out.
    """
    found: dict[tuple, ast.expr] = {}
    if __debug__:
        _keep(tree, False, found)
    return found


def _keep(node: "ast.AST", in_class: bool, found: dict[tuple, "ast.expr"]) -> None:
    import _ast

    if isinstance(node, _ast.ClassDef | _ast.FunctionDef | _ast.AsyncFunctionDef):
        in_class = isinstance(node, _ast.ClassDef)
    for field in BLOCKS:
        block = getattr(node, field, None)
        if isinstance(block, list):
            for child in block:
                _keep(child, in_class, found)
            if not in_class:
                block[:] = [new for old in block for new in _keeping(old, found)]


def _keeping(statement: "ast.stmt", found: dict[tuple, "ast.expr"]) -> list["ast.stmt"]:
    """`assert (@left := left) == right; del @left` for `assert left == right`."""
    import _ast

    test = statement.test if isinstance(statement, _ast.Assert) else None
    if not isinstance(test, _ast.Compare) or len(test.ops) != 1:
        return [statement]
    left = test.left
    if isinstance(left, _ast.Constant):  # its value can be read, and Python warns of `1 is x`
        return [statement]
    found[_place(test)] = left
    named = _at(left, _ast.Name(LEFT, _ast.Store()))
    test.left = _at(left, _ast.NamedExpr(named, left))
    deleted = _at(test, _ast.Name(LEFT, _ast.Del()))
    return [statement, _at(test, _ast.Delete([deleted]))]


def _place(node: "ast.AST") -> tuple[int, int, int, int]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _at(place: "ast.AST", node: "ast.AST") -> "ast.AST":
    """The node, at the place of another one."""
    node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = _place(place)
    return node


def explain(error: AssertionError, kept: dict[tuple, "ast.expr"]) -> None:
    """Note the left side's value, if it was one of those asserts that failed."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    frame = last.tb_frame
    place = list(frame.f_code.co_positions())[last.tb_lasti // 2]
    if frame.f_code.co_filename != NAME or place not in kept or LEFT not in frame.f_locals:
        return
    try:
        import ast

        value = repr(frame.f_locals[LEFT])
        left = ast.unparse(kept[place])
    except BaseException:  # also sys.exit(): the failed assert is what is reported
        return
    value = value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + "..."
    error.add_note(f"{left} is {value}")


def read_source(path: str) -> str:
    """The program's text, by its byte order mark or the encoding that it names. Wrong bytes are
    replaced."""
    with open(path, "rb") as file:
        data = file.read()
    encoding = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
    if encoding == "utf-8" and b"coding" in b"".join(data.split(b"\n", 2)[:2]):
        encoding = _named_encoding(data) or encoding
    return io.StringIO(data.decode(encoding, "replace"), newline=None).read()


def _named_encoding(data: bytes) -> str:
    """The encoding that the program names, "" for none that there is."""
    import re

    named = re.match(rb"(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)", data)
    try:
        return codecs.lookup(named[1].decode("ascii", "replace")).name if named else ""
    except LookupError:
        return ""


def compiled(source: str) -> tuple["types.CodeType", dict[tuple, "ast.expr"]]:
    """The compiled program, and the left sides that its asserts keep."""
    if "assert" in source:
        tree = compile(source, NAME, "exec", PARSE_ONLY)
        try:
            kept = keep_left_sides(tree)
            return compile(tree, NAME, "exec"), kept
        except RecursionError:  # it may be too deep for Python as a tree, and not as a text
            pass
    return compile(source, NAME, "exec"), {}


def _end_by_signal(number: int) -> None:
    """End as Python does after KeyboardInterrupt: what waits to be printed is, and no `atexit`
    counts any more."""
    import signal

    sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _show(error: BaseException, inner: "types.TracebackType | None") -> None:
    """Print the exception as Python does at its end, or call the program's own hook."""
    if sys.excepthook is not sys.__excepthook__:
        sys.excepthook(type(error), error, inner)
        return
    try:
        import traceback

        traceback.print_exception(type(error), error, inner)
    except Exception:  # out of memory or descriptors, or the program has changed what this needs
        sys.__excepthook__(type(error), error.with_traceback(inner), inner)


def run(path: str, module: "types.ModuleType | None" = None) -> int:
    """Run the program; its exit status as the interpreter's would be, negative for a signal.

    module: what it runs as, with the names that are there already.
    """
    source = read_source(path)
    # unittest, doctest, pickle and others look for the program here.
    module = sys.modules["__main__"] = module or type(sys)("__main__")
    module.__file__, module.__builtins__ = os.path.abspath(NAME), builtins
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
        _show(error, inner)
        return -INTERRUPT if isinstance(error, KeyboardInterrupt) else 1
    return 0


if __name__ == "__main__":
    sys.argv = [NAME]
    code = run(NAME)
    if code < 0:
        _end_by_signal(-code)
    sys.exit(code)
