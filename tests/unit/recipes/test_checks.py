"""Runs that look verified and are not, in the real sandbox."""

import pytest

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.languages.python.program import take_apart
from aiev.recipes.verification.checks import flaw
from aiev.sandbox.api import Limits, open_sandbox

LIMITS = Limits(wall_seconds=5, memory_mib=256, processes=16)
ADD = "def add(a, b):\n    return a + b\n\n\n"
TESTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0\n"


@pytest.fixture(scope="module")
def judge():
    """The flaw of a program that passes."""
    with open_sandbox("bubblewrap") as sandbox:

        def run(code, limits=LIMITS):
            interpreter, script = Interpreter(sandbox, limits, None), Script(code)
            first = interpreter.run(script)
            assert first.outcome == "passed", first.stderr
            return flaw(script, take_apart(code), first, interpreter)

        yield run


def test_a_sound_program(judge):
    assert judge(ADD + TESTS + "print('passed')") == ""


def test_tests_that_fail_without_an_assert_are_tests(judge):
    code = "def parts():\n    return [1, 2]\n\n\nfirst, second = parts()\n"
    assert judge(code + "assert len(parts()) == 2\nassert parts()[0] == first") == ""


def test_tests_in_functions_are_tests(judge):
    assert judge(ADD + "def test_add():\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0\n"
                 "\n\ntest_add()") == ""  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        "print('hello')",
        ADD,
        ADD + "assert add(1, 2) == 3",
        ADD + "assert 1 == 1\nassert 2 == 2",
        ADD + "print(add(1, 2) == 3, add(0, 0) == 0)",
    ],
)
def test_too_few_tests(code, judge):
    assert judge(code) == "no-tests"


@pytest.mark.parametrize(
    "code",
    [
        ADD + "assert add(1, 2) != 4\nassert add(0, 0) != 1",
        ADD + "assert add(1, 2) or True\nassert not add(0, 0)",
        # Tests that never run, and failures that are swallowed.
        ADD + "def test_add():\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0",
        ADD + "try:\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0\nexcept AssertionError:"
        "\n    pass",
        ADD + "if False:\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0",
        "def none():\n    return None\n\n\nassert none() is None\nassert not none()",
        # Stubs that fail where no test is.
        ADD + "assert add(1, 2) != 4\nassert add(0, 0) != 1\nprint('sum', add(1, 2) + 1)",
        "def double(x):\n    return 2 * x\n\n\nFOUR = double(2) + 0\n\n\n"
        + ADD
        + "assert add(1, 2) != 4\nassert add(FOUR, 0) != 1",
        ADD
        + "print(add(1, 2) + 0)\n\n\nclass More:\n    pass\n\n\n"
        + "assert add(1, 2) != 4\nassert add(0, 0) != 1",
    ],
)
def test_tests_that_hold_for_anything(code, judge):
    assert judge(code) == "vacuous"


@pytest.mark.parametrize(
    "line",
    [
        "print(hash('a'))",
        "print(list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))",
        "assert list({'a', 'b', 'c', 'd', 'e', 'f'}) == {order}",
    ],
)
def test_what_changes_with_the_hash_seed(line, judge):
    if "{order}" in line:
        # The order under hash seed 0 is asked of the sandbox itself.
        with open_sandbox("bubblewrap") as sandbox:
            look = "print(list({'a', 'b', 'c', 'd', 'e', 'f'}), end='')"
            said = Interpreter(sandbox, LIMITS, None).run(Script(look)).stdout
            line = line.replace("{order}", said)
    assert judge(ADD + TESTS + line) == "flaky"


def test_sets_that_are_sorted_are_not_flaky(judge):
    assert judge(ADD + TESTS + "print(sorted({'a', 'b', 'c'}))") == ""


def test_a_stub_that_never_ends_is_not_vacuous(judge):
    code = "def step(n):\n    return n - 1\n\n\nassert step(3) == 2\nassert step(1) == 0\nn = 3\n"
    code += "while n is not None and n:\n    n = step(n)\n"
    assert judge(code, Limits(wall_seconds=2, memory_mib=256, processes=16)) == ""
