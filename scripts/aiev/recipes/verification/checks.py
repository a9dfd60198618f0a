"""Two ways in which a run looks verified and is not: vacuous tests and flaky ones."""

from dataclasses import replace

from aiev.languages.base import Program, Script
from aiev.languages.interpreter import Interpreter
from aiev.languages.python.blocks import code_block
from aiev.languages.python.program import stub, take_apart, without_prints
from aiev.sandbox.request import Result

OTHER_HASH_SEED = 1
LEAST_ASSERTS = 2


def is_testable(answer: str) -> bool:
    """Whether an answer holds a program whose asserts call its functions. Code that does not parse
    counts: running it says what is wrong."""
    code = code_block(answer)
    if code is None:
        return False
    try:
        return take_apart(code).asserts >= LEAST_ASSERTS
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True


def flaw(script: Script, program: Program, first: Result, interpreter: Interpreter) -> str:
    """Why a program that passed is not verified: "no-tests", "vacuous", "flaky"; "" when it is.

    no-tests: no function of the solution is called by two asserts.
    vacuous:  the tests also pass when every function returns None.
    flaky:    under another hash seed the outcome or stdout differs.
    """
    if program.asserts < LEAST_ASSERTS:
        return "no-tests"
    if _vacuous(script, program, interpreter):
        return "vacuous"
    again = interpreter.run(script, OTHER_HASH_SEED)
    if (again.outcome, again.stdout) != (first.outcome, first.stdout):
        return "flaky"
    return ""


def _vacuous(script: Script, program: Program, interpreter: Interpreter) -> bool:
    """Whether the tests pass on a stub. One that fails before they begin, or at a line that only
    shows something, would tell nothing of them."""

    def passes(code: str) -> bool:
        silent = without_prints(code)
        return interpreter.run(replace(script, code=silent)).outcome == "passed"

    stubs = stub(program.solution)
    if not passes(stubs):
        # The solution uses its own functions before any test does.
        stubs = stub(program.solution, only=program.entry_point)
    return passes(f"{stubs}\n\n\n{program.tests}\n")
