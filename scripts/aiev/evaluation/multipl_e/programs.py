"""Complete programs of MultiPL-E: prompt, what a model wrote, tests, and a mark at their end.

A program that leaves before its tests have run exits with 0 too. So the tests end by printing a
word that nobody can know beforehand, and only a program that printed it has passed.
"""

from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.multipl_e.tampering import guard
from aiev.languages.toolchains.base import Toolchain


def program_of(task: Task, solution: str, toolchain: Toolchain, mark: str) -> str:
    """The program that decides about a solution: complete, or to be followed by the tests.

    mark: a word that the program prints once all its tests have passed.
    """
    before = without_tests(task, solution, toolchain)
    return before + guard(task) + _marked(task["tests"].rstrip(), toolchain, mark)


def without_tests(task: Task, solution: str, toolchain: Toolchain) -> str:
    """A solution up to its tests, where it ends with them."""
    tests = task["tests"].rstrip()
    whole = solution.rstrip()
    if toolchain.end:
        whole = whole.removesuffix(toolchain.end).rstrip()
    return whole[: -len(tests)] if whole.endswith(tests) else f"{solution}\n"


def printed(stdout: str, mark: str) -> bool:
    """Whether the program reached the end of its tests."""
    return stdout.rstrip("\n").rpartition("\n")[2] == mark


def _marked(tests: str, toolchain: Toolchain, mark: str) -> str:
    statement = toolchain.prints.replace("{mark}", mark)
    at = len(tests)
    for _ in range(toolchain.braces):
        at = tests.rindex("}", 0, at)
    return f"{tests[:at]}\n{statement}\n{tests[at:]}\n"


def is_left_open(task: Task) -> bool:
    """Whether the tests begin with the brace that closes the prompt's function."""
    return task["tests"].lstrip().startswith("}")


def cut(completion: str, stop_tokens: list[str]) -> str:
    """The completion up to the first stop token."""
    ends = [at for token in stop_tokens if (at := completion.find(token)) >= 0]
    return completion[: min(ends, default=len(completion))]
