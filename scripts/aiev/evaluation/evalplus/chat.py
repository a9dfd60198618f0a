"""EvalPlus's words for chat models, and its way to take a program out of their answers.

Both are EvalPlus's own, so that scores compare with published ones. Nothing of an answer is run
here.
"""

import ast
from collections.abc import Iterator
from itertools import accumulate

from aiev.core.log import log
from aiev.core.templates import render
from aiev.evaluation.benchmarks.base import Task

MAX_LINES = 160
"""Lines of an answer that are searched: the search tries every run of lines, which takes seconds
for so many. A function needs a tenth."""


def prompt_of(problem: Task) -> str:
    """The question for a problem."""
    return render(__file__, "chat", prompt=problem["prompt"].strip())


def sanitized(answer: str, entry_point: str) -> str:
    """The entry point and what it needs, by EvalPlus's sanitizer; "" when there is no code.

    Never raises.
    """
    from evalplus import sanitize

    # EvalPlus's own search takes 20 s for 200 lines; ours finds the same run of lines sooner.
    sanitize.code_extract = longest_code
    lines = answer.split("\n")[:MAX_LINES]
    try:
        code = sanitize.sanitize("\n".join(lines), entry_point)
        # Without any code in it EvalPlus gives back the first line, whatever it is.
        return code if _parses(code) else ""
    except Exception as error:
        # Whatever a parser says of a model's text, it is an answer without usable code.
        log.info("no code in an answer: %s: %s", type(error).__name__, error)
        return ""


def longest_code(text: str) -> str:
    """The run of lines that parses as Python and has the most non-blank lines.

    Of equals the one that starts first, then the one that ends first: what evalplus 0.3.1's
    `code_extract` returns, searched from the longest run down. The first line if nothing parses.
    """
    lines = text.split("\n")
    for first, last in _longest_first(lines):
        run = "\n".join(lines[first : last + 1])
        if _parses(run):
            return run
    return lines[0]


def _longest_first(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Runs of two lines or more that are not all blank, as (first, last)."""
    upto = [0, *accumulate(bool(line.strip()) for line in lines)]
    runs = [(i, j) for i in range(len(lines)) for j in range(i + 1, len(lines))]
    runs = [(i, j) for i, j in runs if upto[j + 1] > upto[i]]
    return iter(sorted(runs, key=lambda run: (upto[run[0]] - upto[run[1] + 1], *run)))


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, MemoryError):
        return False
    return True
