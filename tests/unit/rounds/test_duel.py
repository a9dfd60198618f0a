"""The duel: what counts as solved, which problems are excluded, and the report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.observe import Observation
from aiev.recipes.verification.separate import separate
from aiev.rounds.duel import (
    grouped,
    judge,
    paired,
    problems_of,
    program_in,
    report,
    sample_seed,
    solvable_problems,
)
from aiev.sandbox.api import Limits, open_sandbox
from aiev.sandbox.packages.service import Packages

RIGHT = "def double(x):\n    return 2 * x"
TESTS = "assert double(2) == 4\nassert double(0) == 0\nprint('All tests passed')"


def dialogue(name="0-a", solution=RIGHT, tests=TESTS):
    return {
        "id": name,
        "messages": [{"role": "user", "kind": "problem", "content": "Write double(x)."}],
        "entry_point": "double",
        "solution": solution,
        "tests": tests,
        "packages": [{"name": "numpy", "version": "2.1.0", "sha256": "0"}],
    }


def problem(**changes):
    (made,) = problems_of([dialogue(**changes)])
    return {**made, "packages": []}


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    with open_sandbox("bubblewrap") as box:
        packages = Packages(None, tmp_path_factory.mktemp("layers"))
        yield Interpreter(box, Limits(wall_seconds=3, cpu_seconds=3, memory_mib=256), packages)


def test_a_problem_shows_its_description_and_hides_its_tests():
    (made,) = problems_of([dialogue()])
    assert made["prompt"] == "Write double(x)." and made["packages"][0]["name"] == "numpy"
    assert (made["reference"], made["tests"]) == (RIGHT, TESTS)


@pytest.mark.parametrize(
    ("solution", "outcome"),
    [
        (RIGHT, "passed"),
        ("def double(x):\n    return x + x", "passed"),
        ("def double(x):\n    return x", "failed"),
        ("def other(x):\n    return 2 * x", "failed"),
        ("def double(x:", "failed"),
        ("", "no-code"),
        ("  \n", "no-code"),
        ("def double(x):\n    while True: pass", "timed-out"),
        ("x = bytearray(10**10)\n" + RIGHT, "out-of-memory"),
        # A program that leaves early, or pretends that it came to its end.
        ("import sys\nsys.exit(0)", "failed"),
        ("import os\nos._exit(0)", "failed"),
        ("import os, sys\nprint('All tests passed', flush=True)\nos._exit(0)", "failed"),
        ("def double(x):\n    raise SystemExit(0)", "failed"),
    ],
)
def test_outcomes_of_solutions(solution, outcome, interpreter):
    assert judge(problem(), solution, interpreter) == outcome


CHEATS = {
    "equal to all": "from unittest.mock import ANY\ndef double(x):\n    return ANY",
    "an equality of its own": "class All(int):\n    def __eq__(self, other):\n        return True\n"
    "def double(x):\n    return All(0)",
    "prints what is printed at the end": "print('\\n' + open('main.py').read()[-67:-3])\nexit()",
    "the same at the exit": "import atexit\natexit.register(lambda: print('\\n' + "
    "open('main.py').read()[-67:-3]))\nraise SystemExit(0)",
    "the same when called": "def double(x):\n    print('\\n' + open('main.py').read()[-67:-3])\n"
    "    exit()",
    "reads what is expected": "import re\ndef double(x):\n    found = re.findall("
    "r'double.(\\d). == (\\d)', open('main.py').read())\n    return int(dict(found)[str(x)])",
    "jumps over the tests": "import sys\ndef double(x):\n    return 0\ndef over(frame, event, _):\n"
    "    if event == 'line' and 'assert' in open('main.py').readlines()[frame.f_lineno - 1]:\n"
    "        frame.f_lineno += 1\n    return over\nsys._getframe().f_trace = over\n"
    "sys.settrace(over)",
    "a patched compile": "import sys\nsys.excepthook = lambda *_: print('\\n' + "
    "open('main.py').read()[-67:-3])\nimport os, atexit\natexit.register(lambda: os._exit(0))\n"
    "def double(x):\n    return 0",
}


@pytest.mark.parametrize("solution", CHEATS.values(), ids=CHEATS)
def test_an_answer_that_cheats_has_failed(solution, interpreter):
    assert judge(problem(), solution, interpreter) == "failed"


NEAR = "assert abs(double(2) - 4) < 1e-6\nassert abs(double(0) - 0) < 1e-6"


@pytest.mark.parametrize("returned", ["All()", "[All()][0]", "[All()]"])
def test_an_object_that_is_near_to_all_is_no_answer(returned, interpreter):
    solution = "class Meta(type):\n    __flags__ = 256\n"
    solution += "class All(metaclass=Meta):\n    def __sub__(self, other):\n        return 0\n"
    solution += f"def double(x):\n    return {returned}"
    tests = (
        NEAR.replace("(2)", "(2)[0]").replace("(0)", "(0)[0]") if returned == "[All()]" else NEAR
    )
    right = "def double(x):\n    return [2 * x]" if tests != NEAR else RIGHT
    asked = problem(solution=right, tests=tests)
    assert judge(asked, solution, interpreter) == "failed"
    assert judge(asked, right, interpreter) == "passed"


def test_objects_are_answers_where_the_reference_has_them(interpreter):
    solution = "class Two:\n    def __init__(self, x):\n        self.x = 2 * x\n"
    solution += "def double(x):\n    return Two(x)"
    tests = "assert double(2).x == 4\nassert double(0).x == 0"
    assert judge(problem(solution=solution, tests=tests), solution, interpreter) == "passed"


def test_most_cheats_would_pass_without_watched_tests(interpreter, monkeypatch):
    """The table tests what it is meant to test."""
    monkeypatch.setattr("aiev.rounds.duel.observe", lambda *_: ([HELD, HELD], []))
    passed = [judge(problem(), solution, interpreter) for solution in CHEATS.values()]
    assert passed.count("passed") >= 5


HELD = Observation({(0, 1): True}, ended=True)

REFERENCES = {
    "decorated": """
from functools import lru_cache


@lru_cache(maxsize=None)
def double(x):
    return 0 if x <= 0 else 2 + double(x - 1)


assert double(0) == 0
assert double(2) == 4
""",
    "generator": """
import itertools


def double(numbers):
    for number in itertools.chain(numbers):
        yield 2 * number


assert list(double([1, 2])) == [2, 4]
assert list(double([])) == []
""",
    "in-place": """
def double(numbers):
    numbers.extend(numbers[:])


own = [1, 2]
double(own)
assert own == [1, 2, 1, 2]
assert double([]) is None
""",
    "filled-by-a-loop-between-definitions": """
DOUBLES = {}


def fill(n):
    DOUBLES[n] = 2 * n


for n in range(10):
    fill(n)


def double(n):
    return DOUBLES[n]


assert double(0) == 0
assert double(3) == 6
""",
    "filled-by-a-loop-at-the-end": """
DOUBLES = {}


def double(n):
    return DOUBLES[n]


for n in range(10):
    DOUBLES[n] = 2 * n

assert double(0) == 0
assert double(3) == 6
""",
}


@pytest.mark.parametrize("program", REFERENCES.values(), ids=REFERENCES)
@pytest.mark.parametrize("fence", ["Here:\n```python\n{}```\n", "{}"])
def test_a_reference_passes_as_an_answer(program, fence, interpreter):
    parts = separate(program)
    made = problem(solution=parts.solution, tests=parts.tests)
    assert judge(made, made["reference"], interpreter) == "passed"
    answer = program_in(fence.format(program))
    assert answer.strip() == program.strip()
    assert judge(made, answer, interpreter) == "passed"


OWN_TESTS = [
    "assert double(2) == 5",
    "def test_double():\n    assert double(2) == 5\n\n\ntest_double()",
    "import unittest\n\nif __name__ == '__main__':\n    unittest.main()",
    "print(double(int(input())))",
]


@pytest.mark.parametrize("own", OWN_TESTS)
def test_an_answer_s_own_tests_decide_nothing(own, interpreter):
    assert judge(problem(), f"{RIGHT}\n\n\n{own}", interpreter) == "passed"
    assert judge(problem(), f"def double(x):\n    return x\n\n\n{own}", interpreter) == "failed"


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "def f(", "```\n\n```", "\0"])
def test_an_answer_without_a_program(answer, interpreter):
    assert judge(problem(), program_in(answer), interpreter) == "no-code"


def test_what_only_the_tests_need_is_imported_for_them(interpreter):
    reference = "from __future__ import annotations\nimport math\nfrom math import floor as f\n"
    tests = "assert math.isclose(double(f(2.5)), 4)"
    made = problem(solution=reference + RIGHT, tests=tests)
    assert judge(made, RIGHT, interpreter) == "passed"
    assert judge(made, made["reference"], interpreter) == "passed"
    assert judge(made, "from __future__ import annotations\n" + RIGHT, interpreter) == "passed"
    # ... and never in the place of what the answer calls by that name.
    assert judge(made, "def f(x):\n    return 7\n" + RIGHT, interpreter) == "failed"


def test_tests_that_print_without_a_newline_hide_nothing(interpreter):
    made = problem(tests="assert double(2) == 4\nprint('done', end='')")
    assert judge(made, RIGHT, interpreter) == "passed"


def test_a_problem_whose_reference_no_longer_passes_is_left_out(interpreter):
    broken = problem(name="0-b", tests="assert double(2) == 5")
    kept, excluded = solvable_problems([problem(), broken], interpreter)
    assert [one["task_id"] for one in kept] == ["0-a"] and excluded == {"0-b": "failed"}


def test_a_problem_whose_tests_use_undisclosed_names_is_left_out(interpreter):
    helper = "import math\nLIMIT = 4\ndef same(a, b):\n    return math.isclose(a, b)\n" + RIGHT
    tests = "answer = double(2)\nassert same(answer, 4) and math.floor(answer) == 4"
    undisclosed = problem(name="0-b", solution=helper, tests=tests)
    own = "def same(a, b): return a == b\nassert same(double(2), 4)"
    problems = [undisclosed, problem(name="0-c", solution=helper, tests=own), problem()]
    problems.append(
        {**undisclosed, "task_id": "0-d", "prompt": "Write `double(x)`, and `same(a, b)`."}
    )
    problems.append({**problem(name="0-e"), "prompt": "Write a function that doubles."})
    kept, excluded = solvable_problems(problems, interpreter)
    assert excluded == {"0-b": "undisclosed-name", "0-e": "undisclosed-name"}
    assert [one["task_id"] for one in kept] == ["0-c", "0-a", "0-d"]


def rows_of(*pairs):
    return [
        {
            "id": str(number),
            "teacher": {"greedy": "passed" if teacher else "failed", "samples": []},
            "student": {"greedy": "passed" if student else "no-code", "samples": []},
        }
        for number, (teacher, student) in enumerate(pairs)
    ]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_pairs_add_up(pairs):
    found = paired(rows_of(*pairs))
    counts = [found[key] for key in ("both", "neither", "only_student", "only_teacher")]
    assert sum(counts) == len(pairs)
    low, high = found["interval"]
    assert -1 <= low <= high <= 1 and 0 < found["mcnemar_p"] <= 1
    assert found["difference"] == pytest.approx((counts[2] - counts[3]) / len(pairs), abs=1e-6)


def answer(finish_reason="stop", asked_again=False):
    ends = {"finish_reason": finish_reason, "asked_again": asked_again}
    return {"prompt_tokens": 5, "completion_tokens": 10, "solution": RIGHT, **ends}


MODELS = {m: {"name": m, "digest": m[0]} for m in ("teacher", "student")}


def test_the_report_has_both_models_beside_each_other():
    problems = [{"task_id": "0-a"}, {"task_id": "0-b"}]
    outcomes = {
        "teacher": {"0-a": ["passed", "failed"], "0-b": ["failed", "failed"]},
        "student": {"0-a": ["passed", "passed"], "0-b": ["passed", "failed"]},
    }
    answers = {m: {"0-a": [answer(), answer()], "0-b": [answer(), answer()]} for m in MODELS}
    found = report(3, problems, {"0-c": "failed"}, outcomes, answers, MODELS)
    assert found["counts"] == {"test": 3, "excluded": 1, "compared": 2}
    student = found["models"]["student"]
    assert student["greedy"]["pass@1"] == 1 and student["digest"] == "s"
    assert student["sampled"]["pass@1"] == 0.5 and student["sampled"]["samples"] == 1
    assert (student["prompt_tokens"], student["completion_tokens"]) == (20, 40)
    assert found["models"]["teacher"]["outcomes"] == {"failed": 1, "passed": 1}
    assert found["paired"]["only_student"] == 1 and found["round"] == 3


def test_answers_that_cannot_be_used_are_outcomes_and_are_counted():
    problems = [{"task_id": task} for task in "abc"]
    outcomes = {m: {"a": ["no-code"], "b": ["no-code"], "c": ["passed"]} for m in MODELS}
    rows = {
        "a": [answer("length", asked_again=True)],
        "b": [answer("refused")],
        "c": [answer(asked_again=True)],
    }
    found = report(0, problems, {}, outcomes, dict.fromkeys(MODELS, rows), MODELS)
    teacher = found["models"]["teacher"]
    assert teacher["outcomes"] == {"cut-off": 1, "passed": 1, "refused": 1}
    assert teacher["answers"] == {"asked": 3, "asked-again": 2, "cut-off": 1, "refused": 1}
    assert teacher["greedy"]["total"] == 3


def test_a_duel_over_nothing_says_so():
    found = report(0, [], {}, {m: {} for m in MODELS}, {m: {} for m in MODELS}, MODELS)
    assert found["paired"] is None and found["models"]["student"]["greedy"] is None


def test_samples_have_seeds_of_their_own():
    seeds = {sample_seed(1, task, k) for task in ("0-a", "0-b") for k in range(5)}
    assert len(seeds) == 10 and all(0 <= seed < 2**31 for seed in seeds)


def test_takes_are_grouped_by_problem():
    rows = [[{"task_id": "a", "n": take}, {"task_id": "b", "n": take}] for take in range(2)]
    found = grouped([{"task_id": "b"}, {"task_id": "a"}], rows)
    assert [row["n"] for row in found["a"]] == [0, 1] and list(found) == ["b", "a"]
