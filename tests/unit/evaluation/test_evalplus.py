"""Scores: EvalPlus in the real sandbox, on solutions that are right, wrong, endless and hostile."""

import json

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.evalplus import (
    Rules,
    check_proof,
    evaluate,
    passed,
    prove,
    score,
    solutions_of,
)
from aiev.sandbox.api import Limits, Result, open_sandbox

RULES = Rules(
    min_time_limit_seconds=0.5,
    reference_factor=4,
    parallel=2,
    solution_memory_mib=512,
    limits=Limits(wall_seconds=60, cpu_seconds=60, memory_mib=2048, processes=64),
)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


def problem(number=0, **own):
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": "def double(x):\n",
        "entry_point": "double",
        "canonical_solution": "    return [x, x]\n",
        "test": "",
        "contract": "",
        "base_input": [[1], ["a"]],
        "plus_input": [],
        "atol": 0,
        **own,
    }


RIGHT = "def double(x):\n    return [x, x]\n"
WRONG = {
    "wrong": "def double(x):\n    return [x]\n",
    "empty": "",
    "no-such-function": "x = 1",
    "syntax-error": "def double(",
    "raises": "def double(x):\n    raise KeyError",
    "endless": "def double(x):\n    while True: pass",
    "endless-at-import": "while True: pass",
    "exit": "import sys\nsys.exit(0)",
    "hard-exit": "import os\nos._exit(0)",
    "recursion": "def double(x):\n    return double(x)",
    "lone-surrogate": "def double(x):\n    return '\\ud800'\n# \ud800",
}
HOSTILE = {
    # Each needs what EvalPlus's own guard takes away, and gets it back from below.
    "writes-the-result": """
import _io
row = {"task_id": "HumanEval/1", "solution": "x", "base_status": "pass", "plus_status": None}
for name in ("results.json", "samples_eval_results.json"):
    with _io.open("/box/" + name, "w") as file:
        file.write('{"eval": {"HumanEval/1": [%r]}}' % row)
""",
    "kills-everything": """
import ctypes
ctypes.CDLL(None).kill(-1, 9)
""",
    "floods": """
import posix
while True:
    posix.write(1, b"x" * 65536)
""",
}
DAEMON = """
import posix, time, _io
if not posix.fork():
    posix.setsid()
    while True:
        with _io.open("/box/results.json", "w") as file:
            file.write('{"eval": {}}')
        time.sleep(0.001)
"""


def judged(sandbox, solutions, problems=None):
    problems = problems or [problem(n) for n in range(len(solutions))]
    return evaluate(
        problems,
        {p["task_id"]: s for p, s in zip(problems, solutions, strict=True)},
        sandbox,
        RULES,
    )


def test_right_passes_and_wrong_does_not(sandbox):
    result = judged(sandbox, [RIGHT, *WRONG.values(), RIGHT])
    last = len(WRONG) + 1
    assert passed(result, plus=False) == ["HumanEval/0", f"HumanEval/{last}"]
    assert len(result["eval"]) == last + 1
    assert "date" not in result


def test_hostile_solutions_fail_alone(sandbox):
    result = judged(sandbox, [RIGHT, *HOSTILE.values(), RIGHT])
    last = len(HOSTILE) + 1
    assert passed(result, plus=False) == ["HumanEval/0", f"HumanEval/{last}"]


def test_a_daemon_of_a_solution_cannot_reach_the_result(sandbox):
    assert passed(judged(sandbox, [DAEMON, RIGHT]), plus=False) == ["HumanEval/1"]


def test_a_memory_bomb_fails_alone(sandbox):
    bomb = "def double(x):\n    return [bytearray(1 << 33), x]"
    assert passed(judged(sandbox, [RIGHT, bomb]), plus=False) == ["HumanEval/0"]


def test_results_do_not_vary(sandbox):
    solutions = [RIGHT, WRONG["wrong"], RIGHT, WRONG["raises"]]
    first, second = (judged(sandbox, solutions) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    (row,) = first["eval"]["HumanEval/1"]
    assert row["base_fail_tests"] == [[1]]


def test_plus_inputs_count_where_there_are_any(sandbox):
    problems = [problem(n, plus_input=[[7]]) for n in range(2)]
    result = judged(
        sandbox, [RIGHT, "def double(x):\n    return [x, x] if x != 7 else 0"], problems
    )
    assert passed(result, plus=False) == ["HumanEval/0", "HumanEval/1"]
    assert passed(result, plus=True) == ["HumanEval/0"]


def test_mbpp_is_judged_by_its_own_rules(sandbox):
    own = problem(0, task_id="Mbpp/2", base_input=[[[3, 4]]], entry_point="similar_elements")
    own["prompt"], own["canonical_solution"] = "def similar_elements(x):\n", "    return x\n"
    # A set comparison, and lists of the input become tuples.
    turned = "def similar_elements(x):\n    return x[::-1] if type(x) is tuple else 0\n"
    assert passed(judged(sandbox, [turned], [own]), plus=False) == ["Mbpp/2"]


def test_canonical_solutions_prove_the_benchmark(sandbox, tmp_path):
    mark = tmp_path / "here" / "mark"
    problems = [problem(0), problem(1, canonical_solution="    return [x, object()]\n")]
    with pytest.raises(UserError, match="HumanEval/1") as raised:
        prove(problems, sandbox, RULES, [], mark)
    assert "HumanEval/0" not in str(raised.value) and not mark.exists()
    proof = prove(problems, sandbox, RULES, ["HumanEval/1", "HumanEval/99"], mark)
    assert mark.exists()
    assert (proof["tasks"], proof["passed"], proof["exceptions"]) == (2, 1, ["HumanEval/1"])
    check_proof(proof, problems, "proof.json")
    with pytest.raises(UserError, match="not one of these problems"):
        check_proof(proof, problems[:1], "proof.json")


class BrokenSandbox:
    def run(self, request):
        return Result(1, "failed", "", "ImportError: numpy", {}, 0.1)


def test_an_evalplus_that_does_not_run_stops_the_proof(tmp_path):
    with pytest.raises(UserError, match="ImportError: numpy"):
        prove([problem(0), problem(1)], BrokenSandbox(), RULES, [], tmp_path / "mark")


def test_nothing_of_the_host_gets_into_the_box():
    class Looking(BrokenSandbox):
        def run(self, request):
            self.request = request
            return super().run(request)

    looking = Looking()
    judged(looking, [RIGHT])
    assert set(looking.request.mounts) == {"/opt/evalplus"}
    assert looking.request.environment["HUMANEVAL_OVERRIDE_PATH"] == "/box/problems.jsonl"


ROW = {"task_id": "HumanEval/0", "solution": RIGHT}


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([ROW], "no sample for HumanEval/1"),
        ([ROW, ROW], "second sample for HumanEval/0"),
        ([{**ROW, "task_id": "HumanEval/7"}], "HumanEval/7"),
        ([{"task_id": "HumanEval/0"}], "line 1"),
        ([{**ROW, "solution": None}], "line 1"),
        (["text"], "line 1"),
        ([], "HumanEval/0, HumanEval/1"),
    ],
)
def test_samples_that_are_not_one_for_each_task(rows, word):
    with pytest.raises(UserError) as raised:
        solutions_of(rows, [problem(0), problem(1)], "samples.jsonl")
    assert word in str(raised.value)
    assert "samples.jsonl" in str(raised.value)


def test_a_benchmark_that_evalplus_does_not_know():
    with pytest.raises(UserError, match="Other"):
        judged(BrokenSandbox(), [RIGHT], [problem(0, task_id="Other/1")])


def test_a_score_names_what_it_rests_on(tmp_path):
    samples = tmp_path / "samples.jsonl"
    samples.write_text("{}\n")
    rows = {"HumanEval/0": "pass", "HumanEval/1": "fail"}
    result = {"eval": {t: [{"base_status": s, "plus_status": None}] for t, s in rows.items()}}
    proof = {"exceptions": [], "problems": "aa", "evalplus": "0.3.1"}
    found = score([problem(0), problem(1)], samples, result, proof)
    assert found["base"]["pass@1"] == 0.5
    assert found["plus"] is None
    assert found["tasks"] == 2
    assert len(found["samples"]) == 64
    # What a benchmark's own solution does not pass, no model does.
    found = score([problem(0), problem(1)], samples, result, {**proof, "exceptions": [*rows][:1]})
    assert (found["base"]["correct"], found["tasks"]) == (0, 2)
