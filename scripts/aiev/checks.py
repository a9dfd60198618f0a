"""Two ways in which a run looks verified and is not: vacuous tests and flaky ones."""

from pathlib import Path

from aiev.programs import Program, code_block, stub, take_apart
from aiev.sandbox import Limits, Request, Result, Sandbox

INTERPRETER = (Path(__file__).parent / "interpreter.py").read_text("utf-8")
OTHER_HASH_SEED = 1


def program_request(code: str, limits: Limits, hash_seed: int = 0) -> Request:
    """The request that runs `code` as main.py, with failed asserts explained."""
    return Request(
        files={"main.py": code, "interpreter.py": INTERPRETER},
        command=("python", "interpreter.py"),
        limits=limits,
        hash_seed=hash_seed,
    )


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


def flaw(code: str, program: Program, first: Result, sandbox: Sandbox, limits: Limits) -> str:
    """Why a program that passed is not verified: "no-tests", "vacuous", "flaky"; "" when it is.

    no-tests: fewer than two asserts call a function of the solution.
    vacuous:  the tests also pass when every function returns None.
    flaky:    under another hash seed the outcome or stdout differs.
    """
    if program.asserts < LEAST_ASSERTS:
        return "no-tests"
    stubbed = f"{stub(program.solution)}\n\n\n{program.tests}\n"
    if sandbox.run(program_request(stubbed, limits)).outcome == "passed":
        return "vacuous"
    again = sandbox.run(program_request(code, limits, OTHER_HASH_SEED))
    if (again.outcome, again.stdout) != (first.outcome, first.stdout):
        return "flaky"
    return ""
