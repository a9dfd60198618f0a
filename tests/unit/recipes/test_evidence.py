# ruff: noqa: E501 (programs, a line each)
"""What a program's tests are worth, observed in the real sandbox."""

from pathlib import Path

import pytest

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.contract import Contract, read_contract
from aiev.recipes.verification.evidence import collect
from aiev.recipes.verification.observe import Case, observe
from aiev.recipes.verification.policies import Policy, judge
from aiev.recipes.verification.separate import separate
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Limits

LIMITS = Limits(wall_seconds=5, memory_mib=256, processes=16)
ADD = "def add(a, b):\n    return a + b\n\n\n"
TESTS = "assert add(1, 2) == 3\nassert add(0, 5) == 5\n"
NO_CONTRACT = Contract("", (), "no-signature")
OBSERVED = Policy(policy="examples", min_examples=0)
"""Watched tests, with nothing asked of the problem's text."""


@pytest.fixture(scope="module")
def examine():
    """The evidence about a program; it has to pass when it is run as a whole."""
    with open_sandbox("bubblewrap") as sandbox:

        def run(code, contract=NO_CONTRACT, solutions=(), shell="", **limits):
            interpreter, script = Interpreter(sandbox, LIMITS, None), Script(code, shell)
            first = interpreter.run(script)
            assert first.outcome == "passed", first.stderr
            return collect(
                interpreter, script, separate(code), first, contract, solutions, **limits
            )

        yield run


@pytest.fixture
def reason(examine):
    return lambda code, **more: judge(examine(code, **more), OBSERVED)


SHAPES = {
    "plain": TESTS,
    "result": "result = add(1, 2)\nassert result == 3\nresult = add(0, 5)\nassert result == 5\n",
    "function": "def run_tests():\n    assert add(1, 2) == 3\n    assert add(0, 5) == 5\nrun_tests()\n",
    "main": "def check():\n    assert add(1, 2) == 3\n    assert add(0, 5) == 5\n"
    "def main():\n    check()\n    print('ok')\nif __name__ == '__main__':\n    main()\n",
    "table": "for a, b, c in [(1, 2, 3), (0, 5, 5)]:\n    assert add(a, b) == c, (a, b)\n",
    "pytest": "def test_one():\n    assert add(1, 2) == 3\n\ndef test_two():\n    assert add(0, 5) == 5\n",
    "pytest class": "class TestAdd:\n    def test_one(self):\n        assert add(1, 2) == 3\n"
    "    def test_two(self):\n        assert add(0, 5) == 5\n",
    "unittest": "import unittest\nclass TestAdd(unittest.TestCase):\n"
    "    def test_one(self):\n        self.assertEqual(add(1, 2), 3)\n"
    "    def test_two(self):\n        self.assertEqual(add(0, 5), 5)\n"
    "if __name__ == '__main__':\n    unittest.main()\n",
    "raises": "assert add(1, 2) == 3\ntry:\n    add('a', 1)\n    assert False\n"
    "except TypeError:\n    pass\n",
    "if and raise": "if add(1, 2) != 3:\n    raise ValueError('a')\n"
    "if add(0, 5) != 5:\n    raise ValueError('b')\n",
}


@pytest.mark.parametrize("tests", SHAPES.values(), ids=SHAPES)
def test_tests_of_any_shape_are_tests(tests, examine):
    evidence = examine(ADD + tests)
    assert judge(evidence, OBSERVED) == ""
    assert len(evidence["tests"]) == 2 and all(t["fails"] for t in evidence["tests"])


STACK = """
class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)

    def pop(self):
        if not self.items:
            raise IndexError("empty")
        return self.items.pop()

    def __len__(self):
        return len(self.items)
"""


def test_methods_of_a_class_are_tested_through_handles(examine):
    tests = "s = Stack()\ns.push(2)\ns.push(3)\nassert s.pop() == 3\nassert len(s) == 1\n"
    evidence = examine(STACK + tests)
    assert judge(evidence, OBSERVED) == "" and len(evidence["tests"]) == 2


@pytest.mark.parametrize(
    "code",
    [
        # Changed in place, printed, taken a function, gave back a generator, a named tuple, a set.
        "def f(xs):\n    xs.sort()\n\na = [2, 1]\nf(a)\nassert a == [1, 2]\nb = [3, 1, 2]\nf(b)\n"
        "assert b == [1, 2, 3]\n",
        "import io\nfrom contextlib import redirect_stdout\ndef f(x):\n    print(x + 1)\n\n"
        "def said(x):\n    with redirect_stdout(io.StringIO()) as out:\n        f(x)\n"
        "    return out.getvalue()\n\nassert said(1) == '2\\n'\nassert said(2) == '3\\n'\n",
        "def f(g, xs):\n    return [g(x) for x in xs]\n\nassert f(lambda x: x + 1, [1]) == [2]\n"
        "assert f(str, [1, 2]) == ['1', '2']\n",
        "def f(n):\n    i = 0\n    while True:\n        i += n\n        yield i\n\nfrom itertools import islice\n"
        "assert list(islice(f(2), 2)) == [2, 4]\nassert next(f(3)) == 3\n",
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(a):\n"
        "    return P(a, a + 1)\n\nassert f(1) == (1, 2)\nassert f(2).y == 3\n",
        "from fractions import Fraction\ndef f(a):\n    return {Fraction(a, 2)}\n\n"
        "assert f(1) == {Fraction(1, 2)}\nassert f(3) == {Fraction(3, 2)}\n",
    ],
)  # fmt: skip
def test_values_of_many_kinds_reach_the_tests(code, reason):
    assert reason(code) == ""


CHEATS = {
    "exit in the function": "def f(x):\n    exit()\n" + "assert f(1) == 1\nassert f(2) == 2\n",
    "os._exit": "import os\ndef f(x):\n    os._exit(0)\nassert f(1) == 1\nassert f(2) == 2\n",
    "leaves between asserts": "def f(x):\n    return x\nassert f(1) == 1\nraise SystemExit(0)\n"
    "assert f(2) == 99\n",
    "printed exit": "def f(x):\n    return 0\nprint(exit())\nassert f(1) == 1\nassert f(2) == 2\n",
    "atexit": "import atexit, os\ndef g():\n    os._exit(0)\natexit.register(g)\n"
    "def f(x):\n    return 0\nassert f(1) == 1\nassert f(2) == 2\n",
    "equal to all": "from unittest.mock import ANY\ndef f(x):\n    return ANY\n"
    "assert f(1) == 1\nassert f(2) == 2\n",
    "own __eq__": "class E(int):\n    def __eq__(self, other):\n        return True\n"
    "    __hash__ = int.__hash__\ndef f(x):\n    return E(0)\nassert f(1) == 1\nassert f(2) == 2\n",
    "own order": "class E:\n    def __gt__(self, other):\n        return True\n    __lt__ = __gt__\n"
    "def f(x):\n    return E()\nassert f(1) > 1\nassert f(2) < 2\n",
    "own __class__": "class E:\n    __module__ = 'decimal'\n    __qualname__ = 'Decimal'\n"
    "    def __eq__(self, other):\n        return True\n"
    "def f(x):\n    return E()\nassert f(1) == 1\nassert f(2) == 2\n",
    "caught and printed": "def f(x):\n    return x + 1\nfor a, b in [(1, 2), (2, 4), (3, 9)]:\n"
    "    try:\n        assert f(a) == b\n    except AssertionError:\n        print('FAIL')\n"
    "assert f(0) == 1\n",
    "caught, and the stub fails otherwise": "def f(x):\n    return [x]\n"
    "try:\n    assert f(1)[0] == 2\nexcept AssertionError:\n    print('failed')\nassert f(1) == [1]\n",
    "suppressed": "import contextlib\ndef f(x):\n    return x\nwith contextlib.suppress(Exception):\n"
    "    assert f(1) == 2\nassert f(2) == 2\n",
    "return in finally": "def f(x):\n    return x\ndef run():\n    try:\n        assert f(1) == 2\n"
    "    finally:\n        return\nrun()\nassert f(2) == 2\n",
    "trace function": "import sys\ndef f(x):\n    return 0\n"
    "def t(frame, event, arg):\n    return t\nsys.settrace(t)\n"
    "for fn in [f]:\n    pass\ntry:\n    assert f(1) == 1\nexcept AssertionError: pass\n"
    "try:\n    assert f(2) == 2\nexcept AssertionError: pass\n",
    # What the solution writes to its own socket is no answer, and never a name to call.
    "forges an answer": "import os, pickle, struct\ndef f(x):\n"
    "    code = \"import sys\\nm = sys.modules['boxed.tests_process']\\n\"\n"
    "    code += \"def ex(self, *_):\\n    self.report('check', self.number, True, '')\\n\"\n"
    '    code += "    return True\\nm._Check.__exit__.__code__ = ex.__code__\\n"\n'
    "    data = pickle.dumps(('error', 'exec', (code,), 'x'), 5)\n"
    "    for fd in range(3, 64):\n        try:\n"
    "            os.write(fd, struct.pack('!I', len(data)) + data)\n"
    "        except OSError:\n            pass\n    return Liar()\n"
    "class Liar(int):\n    def __eq__(self, other):\n        return True\n"
    "assert f(0) == 7\nassert f(1) == 99\nassert f(2) == 98\n",
    "another abs": "def abs(x):\n    return 0\ndef f(x):\n    return 7\n"
    "assert abs(f(1) - 1.5) < 1e-6\nassert abs(f(2) - 2.5) < 1e-6\n",
    "reads the program": "import re\ndef f(x):\n"
    "    found = re.findall(r'assert f\\((\\d)\\) == (\\d+)', open('main.py').read())\n"
    "    return int(dict(found)[str(x)])\nassert f(1) == 7\nassert f(2) == 5\n",
}


@pytest.mark.parametrize("code", CHEATS.values(), ids=CHEATS)
def test_a_program_that_cheats_is_unfinished(code, reason):
    assert reason(code) == "unfinished"


HOLLOW = {
    "too few": (ADD + "assert add(1, 2) == 3", "no-tests"),
    "nothing": ("print('hello')", "no-tests"),
    "only prints": (ADD + "print(add(1, 2) == 3, add(0, 0) == 0)", "no-tests"),
    "the same twice": (ADD + "assert add(1, 2) == 3\nassert add(1, 2) == 3", "no-tests"),
    "never run": (ADD + "if False:\n    assert add(1, 2) == 3\n    assert add(0, 0) == 0", "no-tests"),
    "behind a condition": (ADD + "if add(1, 2) is None:\n    assert add(1, 2) == 3", "no-tests"),
    "an empty loop": (
        "def evens(xs):\n    return []\nfor x in evens([1, 2]):\n    assert x == 2\n    assert x != 3\n",
        "no-tests",
    ),
    "holds for anything": (ADD + "assert add(1, 2) != 4\nassert add(0, 0) != 1", "vacuous"),
    "or True": (ADD + "assert add(1, 2) or True\nassert not add(0, 0)", "vacuous"),
    "of nothing": (ADD + "assert 1 == 1\nassert 2 == 2", "vacuous"),
    # A stub that fails in the module's own code tells nothing of the tests (the entry point alone
    # is replaced, and only where the tests call it).
    "a table of its own results": (
        ADD + "TABLE = [add(i, 1) + 1 for i in range(3)]\n\n\nclass Unused:\n    pass\n\n\n"
        "assert add(1, 2) != 'x'\nassert add(0, 0) != 'y'\n",
        "vacuous",
    ),
    "expected None": ("def f():\n    return None\nassert f() is None\nassert not f()", "vacuous"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "said"), HOLLOW.values(), ids=HOLLOW)
def test_tests_that_say_nothing(code, said, reason):
    assert reason(code) == said


@pytest.mark.parametrize(
    "line", ["print(hash('a'))", "print(list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"]
)
def test_output_that_changes_with_the_hash_seed_is_flaky(line, reason):
    assert reason(ADD + TESTS + line) == "flaky"
    assert reason(ADD + TESTS + "print(sorted({'a', 'b', 'c'}))") == ""


def test_weak_tests_leave_mutants_alive(examine):
    weak = "assert add(1, 2) is not None\nassert isinstance(add(0, 0), int)\n"
    policy = Policy(min_examples=0, min_agreeing=0, min_killed=0.6)
    evidence = examine(ADD + weak)
    assert judge(evidence, policy) == "weak-tests"
    assert evidence["mutants"]["survived"] == {"arithmetic": 1, "parameter": 1}
    assert judge(examine(ADD + TESTS), policy) == ""


def test_a_mutant_that_hangs_is_killed_in_time(examine):
    code = (
        "def count(n):\n    i = 0\n    while i < n:\n        i += 1\n    return i\n\n\n"
        "assert count(3) == 3\nassert count(5) == 5\n"
    )
    mutants = examine(code)["mutants"]
    # To begin one earlier or later gives the same count, and so does `return n`: such a mutant
    # cannot be killed.
    assert mutants == {"of": 9, "killed": 6, "survived": {"constant": 2, "parameter": 1}}


@pytest.mark.parametrize(("tests", "said"), [("!= 'x'", "vacuous"), ("== 2", "")])
def test_a_program_that_imports_slowly_is_judged_like_any_other(tests, said, reason):
    """More CPU time than a mutant has, before anything is called; a change of it takes as long."""
    code = (
        "import time\nwhile time.process_time() < 1.1:\n    pass\n\n\n"
        f"def f(x):\n    return x * 2\n\n\nassert f(1) {tests}\nassert not f(0)\nassert f(-1) {'!= 3' if said else '== -2'}\n"
    )
    assert reason(code) == said


def test_time_that_others_take_changes_no_verdict(examine):
    """A mutant that sleeps takes no CPU time; only what waits for ever is ended."""
    code = (
        "import threading\ndef f(x):\n    threading.Event().wait(0.5)\n    return x + 1\n\n\n"
        "assert f(1) != 'x'\nassert f(2) != 'y'\n"
    )
    mutants = examine(code, max_mutants=2)["mutants"]
    assert (mutants["of"], mutants["killed"]) == (2, 0)


def test_tests_that_take_too_long_are_timed_out():
    code = (
        "import time\ndef f(x):\n    end = time.process_time() + x\n"
        "    while time.process_time() < end:\n        pass\n    return x\n\n\n"
    )
    tests = separate(code + "assert f(0.1) == 0.1\nassert f(1.5) == 1.5\n")
    with open_sandbox("bubblewrap") as sandbox:
        interpreter = Interpreter(sandbox, LIMITS, None)
        (seen,), _ = observe(interpreter, Script(""), tests, [Case(code, seconds=1)])
    assert seen.problem == "timed-out" and seen.results == {(0, 1): True}


def test_independent_solutions_confirm_tests_or_do_not(examine):
    wrong = "def add(a, b):\n    return a * b\n"
    crashes = "raise ValueError('no')\n"
    leaves = "def add(a, b):\n    raise SystemExit(0)\n"
    other = "def add(x, y):\n    return sum([x, y])\n"
    evidence = examine(ADD + TESTS, solutions=[other, other, wrong, crashes, leaves])
    assert [t["agreed"] for t in evidence["tests"]] == [2, 2]
    passes = [True, True, False, False, False]
    solutions = evidence["solutions"]
    assert (solutions["of"], solutions["alike"], solutions["held"]) == (5, 2, 2)
    assert solutions["passes"] == [voter["alike"] for voter in solutions["voters"]] == passes
    # What raises and what ends its process has not run.
    assert [voter["ran"] for voter in solutions["voters"]] == [True, True, True, False, False]
    policy = Policy(min_examples=0, min_alike=0.6)
    assert judge(evidence, policy) == ""
    assert judge(evidence, Policy(min_examples=0, min_alike=0.7)) == "disputed"
    assert judge(examine(ADD + TESTS, solutions=[other, wrong, crashes]), policy) == "unconfirmed"
    assert judge(examine(ADD + TESTS, solutions=[crashes] * 4), policy) == "unconfirmed"
    assert judge(examine(ADD + TESTS), policy) == "unconfirmed"


LARGEST = "def largest(items):\n    return {}\n\n\n"
SORTED = "assert largest([1, 2, 3]) == 3\nassert largest([4, 5]) == 5\nassert largest([7]) == 7\n"
LAST, RIGHT = LARGEST.format("items[-1]"), LARGEST.format("max(items)")
HANGS = "def largest(items):\n    while items != sorted(items):\n        pass\n    return items[-1]\n\n\n"
BEYOND = Policy(min_examples=0, min_killed=0)


def pairs(evidence):
    """How many voters gave the solution's output to an input, and how many gave one."""
    rows = evidence["inputs"]["votes"]
    return {(row.count(True), len(row) - row.count(None)) for row in rows}


@pytest.mark.parametrize("solution", [LAST, HANGS])
def test_a_solution_that_others_contradict_beyond_its_tests_is_disputed(solution, examine):
    """All lists of the tests are sorted: the last item is as good as the largest one."""
    evidence = examine(solution + SORTED, solutions=[RIGHT] * 4)
    assert evidence["solutions"]["alike"] == 4 and (0, 4) in pairs(evidence)
    assert judge(evidence, BEYOND) == "disputed"


@pytest.mark.parametrize(("other", "said"), [(LAST, (3, 4)), (HANGS, (3, 3)), ("x", (3, 3))])
def test_one_of_four_that_differs_or_does_not_answer_disputes_nothing(other, said, examine):
    evidence = examine(RIGHT + SORTED, solutions=[RIGHT, RIGHT, RIGHT, other])
    assert said in pairs(evidence) and pairs(evidence) <= {said, (4, 4)}
    assert judge(evidence, BEYOND) == ""


def test_solutions_that_do_not_agree_beyond_the_tests_dispute_each_other(examine):
    assert judge(examine(RIGHT + SORTED, solutions=[RIGHT, LAST] * 2), BEYOND) == "disputed"


def test_an_input_for_which_nobody_has_a_value_is_left_out(examine):
    """Most changes of a date are no date, and a loop that never ends is no answer."""
    dates = "import datetime\ndef f(text):\n    return datetime.date.fromisoformat(text).day\n\n\n"
    tests = "assert f('2024-01-02') == 2\nassert f('2023-12-31') == 31\n"
    inputs = examine(dates + tests, solutions=[dates] * 3)["inputs"]
    assert inputs["of"] == 16 > len(inputs["votes"])
    loops = "def f(n):\n    while n > 3:\n        pass\n    return n\n\n\n"
    evidence = examine(loops + "assert f(2) == 2\nassert f(3) == 3\n", solutions=[loops] * 2)
    assert pairs(evidence) == {(2, 2)} and evidence["inputs"]["of"] > len(
        evidence["inputs"]["votes"]
    )
    assert evidence["ended"] and judge(evidence, BEYOND) == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{n: 0, n + 1: 1}", "{n + 1: 1, n: 0}", True),
        ("sum([0.1] * n)", "0.1 * n", True),
        ("[n, {'a': (n / 3,)}]", "[n, {'a': (n * (1 / 3),)}]", True),
        ("n", "n + 0.0", False),
        ("n", "bool(n)", False),
        ("{n, n + 8}", "{n + 8, n}", True),
        ("(n, [1])", "(n, [2])", False),
    ],
)
def test_values_are_compared_and_not_their_texts(one, other, same, examine):
    tests = "assert f(3) is not None\nassert f(5) != 0\nassert f(8) != 1\n"
    own, others = (f"def f(n):\n    return {value}\n\n\n" for value in (one, other))
    evidence = examine(own + tests, solutions=[others] * 2)
    found = pairs(evidence)
    assert found and all((alike == 2) == same for alike, _ in found)
    assert [voter["alike"] for voter in evidence["solutions"]["voters"]] == [same] * 2


def test_only_those_that_keep_the_examples_agree_with_a_test(examine):
    """A product is the sum of 2 and 2, too. An empty answer is no voter."""
    contract = read_contract("Write `add(a, b)`: `add(1, 2)` returns `3`, `add(0, 1)` returns `1`.")
    product = "def add(a, b):\n    return a * b\n"
    tests = "assert add(2, 2) == 4\nassert add(0, 0) == 0\n"
    evidence = examine(ADD + tests, contract=contract, solutions=[ADD, product, "", product])
    assert [voter["kept"] for voter in evidence["solutions"]["voters"]] == [True, *[False] * 3]
    assert [test["agreed"] for test in evidence["tests"]] == [1, 1]
    assert judge(evidence, Policy()) == "unconfirmed"
    evidence = examine(ADD + tests, contract=contract, solutions=[ADD, product, "", ADD])
    assert judge(evidence, Policy()) == ""
    assert not any(v["kept"] for v in examine(ADD + tests, solutions=[""])["solutions"]["voters"])


def test_what_a_function_changes_in_place_is_compared(examine):
    sorts = "def sort_it(items):\n    items.sort()\n\n\n"
    loses = "def sort_it(items):\n    items[:] = sorted(set(items))\n\n\n"
    tests = "".join(f"a = {n}\nsort_it({n})\nassert a\n" for n in ([3, 1], [2, 5, 4], [9, 7]))
    assert (0, 2) in pairs(examine(sorts + tests, solutions=[loses] * 2))
    assert pairs(examine(sorts + tests, solutions=[sorts] * 2)) == {(2, 2)}


def test_objects_have_no_text_that_could_be_compared(examine):
    code = "def f(n):\n    return (i for i in range(n))\n\n\n"
    evidence = examine(
        code + "assert list(f(2)) == [0, 1]\nassert sum(f(3)) == 3\n", solutions=[code] * 2
    )
    assert evidence["inputs"] == {"of": evidence["inputs"]["of"], "votes": []}
    assert judge(evidence, Policy(min_examples=0, min_killed=0, min_alike=0)) == ""


def test_the_examples_of_the_problem_are_kept(examine):
    contract = read_contract("Write `add(a, b)`: `add(2, 2)` returns `4`, `add(1, 1)` returns `3`.")
    policy = Policy(policy="examples")
    evidence = examine(ADD + TESTS, contract=contract)
    assert evidence["examples"] == {"found": 2, "held": 1, "agreed": 0, "flaw": ""}
    assert judge(evidence, policy) == "contract-broken"
    kept = read_contract("Write `add(a, b)`: `add(2, 2)` returns `4`, `add(1, 1)` returns `2`.")
    assert judge(examine(ADD + TESTS, contract=kept), policy) == ""
    assert judge(examine(ADD + TESTS), policy) == "no-contract"


def test_a_shell_block_cannot_change_the_checker(reason):
    shell = (
        "for f in boxed/*.py; do if [ -e $f ]; then echo 'raise SystemExit(0)' > $f; fi; done\n"
        "cd /box; echo 'raise SystemExit(0)' > unittest.py\n"
    )
    assert reason(CHEATS["caught and printed"], shell=shell) == "unfinished"
    assert reason(ADD + TESTS, shell=shell) == ""


def test_what_the_checker_leaves_out_of_the_project_s_name_space():
    """The box has the standard library only."""
    folder = Path(__file__).parents[3] / "scripts/aiev/recipes/verification/boxed"
    for path in folder.glob("*.py"):
        assert "aiev" not in path.read_text("utf-8"), path
