"""The answer of an untagged dialogue: the final solution, without its tests, as one would give it
to somebody who asked for code and not for a run."""

import ast
import re
from collections.abc import Mapping
from typing import Any

from aiev.dataset.layout import in_fence
from aiev.languages.markdown import fenced, unix
from aiev.languages.python.blocks import program_of
from aiev.languages.python.functions import BROKEN, normal_form, parse

_ABOUT_TESTS = re.compile(r"\b(tests?|tested|testing|unittests?|asserts?|assertions?)\b", re.I)
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def plain_answer(dialogue: Mapping[str, Any]) -> str:
    """The final solution in a fence, between the first answer's words where they describe it.

    Words of a revision answer an error that is not there, and are left out. So are paragraphs about
    tests. Words of the first answer go too once the solution has changed.
    """
    code = without_prints(dialogue["solution"].strip("\n"))
    first = unix(dialogue["messages"][1]["content"])
    program = program_of(first)
    before = after = ""
    if program and _definitions(code) <= _definitions(program.text):
        before = words_without_tests(first[: program.blocks[0].start])
        after = words_without_tests(first[program.blocks[-1].end :])
    return "\n\n".join(part for part in (before, in_fence(code, "python"), after) if part)


def without_prints(code: str) -> str:
    """A program without the lines that only print at its top level; as it is where it is broken."""
    try:
        body = parse(code).body
    except BROKEN:
        return code
    lines = code.split("\n")
    for node in reversed(body):
        alone = sum(_shares_a_line(node, other) for other in body) == 1
        if _is_print(node) and alone:
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n")


def words_without_tests(text: str) -> str:
    """The paragraphs of a text that are not about tests; with fenced blocks in it, as it is."""
    if fenced(text):
        return text.strip()
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(p for p in paragraphs if p.strip() and not _ABOUT_TESTS.search(p))


def _is_print(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    called = call.func if isinstance(call, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "print"


def _shares_a_line(one: ast.stmt, two: ast.stmt) -> bool:
    return one.lineno <= two.end_lineno and two.lineno <= one.end_lineno


def _definitions(code: str) -> set[str]:
    """Normal forms of the functions and classes at a program's top level."""
    try:
        nodes = [node for node in parse(code).body if isinstance(node, _DEFINITIONS)]
    except BROKEN:
        return set()
    return {normal_form(ast.unparse(node)) for node in nodes}
