"""Independent solutions: how many are asked for, and how often each is run."""

import asyncio

import pytest

from aiev.languages.interpreter import Interpreter
from aiev.llm.failures import Refused
from aiev.recipes.aiev_instruct.voting import Voters
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Limits

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x\n"
TESTS = ["assert f(1) == 2", "assert f(2) == 3"]


class Counting:
    """A sandbox that counts the solutions it was given."""

    def __init__(self, sandbox):
        self.sandbox, self.cases = sandbox, 0

    def run(self, request):
        self.cases += request.files["cases.json"].count('"solution"')
        return self.sandbox.run(request)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def voters(sandbox):
    """`voters(answers)`: those who give these answers, in turn, and the sandbox that counts."""

    def make(answers, most=4, agreeing=2):
        left, counting = list(answers), Counting(sandbox)

        async def ask():
            if left[0] is None:
                left.pop(0)
                raise Refused("no")
            return left.pop(0)

        limits = Limits(wall_seconds=10, memory_mib=256, processes=16)
        return Voters(ask, Interpreter(counting, limits, None), "f", most, agreeing), counting

    return make


@pytest.mark.parametrize(
    ("answers", "asked", "confirmed"),
    [
        ([RIGHT, RIGHT], 2, TESTS),
        ([WRONG, RIGHT, RIGHT], 3, TESTS),
        ([WRONG, WRONG, WRONG], 3, []),  # one more cannot make two
        (["", "raise SystemExit", RIGHT, RIGHT], 4, TESTS),
    ],
)
def test_no_more_are_asked_for_than_can_confirm(answers, asked, confirmed, voters):
    some, counting = voters(answers)
    assert asyncio.run(some.confirm(TESTS, enough=2)) == confirmed
    assert len(some.solutions) == asked
    assert counting.cases == asked, "each solution is run once on the same tests"


def test_all_of_them_for_an_audit(voters):
    some, counting = voters([RIGHT, RIGHT, WRONG, RIGHT])
    assert asyncio.run(some.confirm(TESTS, enough=2)) == TESTS
    asyncio.run(some.complete())
    assert some.solutions == [RIGHT, RIGHT, WRONG, RIGHT]
    assert asyncio.run(some.confirm(TESTS[:1], enough=1)) == TESTS[:1]
    assert counting.cases == 2 + 4


def test_a_result_is_the_value_alone(voters):
    """A function that changes its argument has no other result for that."""
    sorts = "def f(x):\n    x.sort()\n    return x[0]\n"
    tests = ["assert f([2, 1]) == 5"]
    some, _ = voters([sorts, sorts, "def f(x):\n    x.sort()\n", "def f(x):\n    exit(x[9])\n"])
    assert asyncio.run(some.results(tests, needed=3)) == [(0, {"1": 2, "None": 1})]


def test_a_number_that_is_too_long_to_be_shown_is_no_result(voters):
    some, _ = voters(["def f(x):\n    return 10 ** x\n"] * 4)
    tests = ["assert f(9) == 5", "assert f(400) == 5"]
    assert asyncio.run(some.results(tests, 3)) == [(0, {"1000000000": 4}), (0, {})]


def test_a_vote_more_that_is_refused_is_an_empty_one(voters):
    """The dialogue has its tests already, and keeps them."""
    found, _ = voters([RIGHT, RIGHT, None, WRONG])
    asyncio.run(found.confirm(TESTS, 2))
    asyncio.run(found.complete())
    assert found.solutions == [RIGHT, RIGHT, "", WRONG]
