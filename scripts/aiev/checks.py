"""Two ways in which a run looks verified and is not: vacuous tests and flaky ones."""

from dataclasses import replace

from aiev.execution import Interpreter, Script
from aiev.programs import Program, code_block, stub, take_apart
from aiev.sandbox import Result

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

    no-tests: fewer than two asserts call a function of the solution.
    vacuous:  the tests also pass when every function returns None.
    flaky:    under another hash seed the outcome or stdout differs.
    """
    if program.asserts < LEAST_ASSERTS:
        return "no-tests"
    stubbed = f"{stub(program.solution)}\n\n\n{program.tests}\n"
    if interpreter.run(replace(script, code=stubbed)).outcome == "passed":
        return "vacuous"
    again = interpreter.run(script, OTHER_HASH_SEED)
    if (again.outcome, again.stdout) != (first.outcome, first.stdout):
        return "flaky"
    return ""
