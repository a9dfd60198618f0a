"""EvalPlus in the real sandbox, on solutions that are right, wrong, endless and hostile, and in
sandboxes in which it cannot run."""

import json

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import EvaluatorCrashed, ScoringLimits, open_benchmark
from aiev.sandbox.api import Limits, Result, open_sandbox

LIMITS = ScoringLimits(
    min_time_limit_seconds=0.5,
    reference_factor=4,
    parallel=2,
    solution_memory_mib=512,
    limits=Limits(wall_seconds=60, cpu_seconds=60, memory_mib=2048, processes=64),
)
HUMANEVAL = open_benchmark("humaneval", "evalplus", {})


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


NOSY = """
import _io, ctypes, posix, sys
reached = []
for name in "mem", "environ", "maps", "fd/0":
    try:
        _io.open(f"/proc/{posix.getppid()}/{name}", "rb")
        reached.append(name)
    except OSError:
        pass
if ctypes.CDLL(None).kill(posix.getppid(), 0) == 0:
    reached.append("signal")
frame = sys._getframe()
while frame:
    queue = frame.f_locals.get("result_queue")
    if queue is not None:
        reached.append("seen")
        try:
            posix.fstat(queue._writer.fileno())
        except OSError:
            reached.remove("seen")
    frame = frame.f_back
def double(x):
    return reached or [x, x]
"""
"""Right if it reaches nothing of EvalPlus's other processes."""


def judged(sandbox, solutions, problems=None):
    problems = problems or [problem(n) for n in range(len(solutions))]
    by_task = {p["task_id"]: s for p, s in zip(problems, solutions, strict=True)}
    return HUMANEVAL.judge(problems, by_task, sandbox, LIMITS)


def base_passed(verdicts):
    return [task for task, verdict in verdicts.items() if verdict.base]


def test_right_passes_and_wrong_does_not(sandbox):
    verdicts = judged(sandbox, [RIGHT, *WRONG.values(), RIGHT])
    last = len(WRONG) + 1
    assert base_passed(verdicts) == ["HumanEval/0", f"HumanEval/{last}"]
    assert list(verdicts) == [f"HumanEval/{n}" for n in range(last + 1)]
    assert {verdict.plus for verdict in verdicts.values()} == {None}


def test_hostile_solutions_fail_alone(sandbox):
    verdicts = judged(sandbox, [RIGHT, *HOSTILE.values(), RIGHT])
    last = len(HOSTILE) + 1
    assert base_passed(verdicts) == ["HumanEval/0", f"HumanEval/{last}"]
    assert "crashed" in {verdict.outcome for verdict in verdicts.values()}


def test_a_solution_reaches_nothing_of_another_task(sandbox):
    verdicts = judged(sandbox, [NOSY, RIGHT])
    assert base_passed(verdicts) == ["HumanEval/0", "HumanEval/1"], verdicts["HumanEval/0"]


@pytest.mark.parametrize(
    "results",
    [
        b"[" * 200_000,
        b'{"eval": ' + b"[" * 200_000,
        b'{"eval": {"HumanEval/0": [{"solution": "x"}]}}',
        b'{"eval": {"HumanEval/0": 3}}',
        b"",
    ],
    ids=["deep", "deeper", "without a verdict", "a number", "empty"],
)
def test_a_result_that_is_none_is_an_evaluator_s_error(results):
    class Lying:
        def run(self, request):
            return Result(0, "passed", "", "", {"results.json": results}, 0.1)

    with pytest.raises(EvaluatorCrashed):
        HUMANEVAL.judge([problem()], {"HumanEval/0": "x"}, Lying(), LIMITS)


def test_a_daemon_of_a_solution_cannot_reach_the_result(sandbox):
    assert base_passed(judged(sandbox, [DAEMON, RIGHT])) == ["HumanEval/1"]


def test_a_memory_bomb_fails_alone(sandbox):
    bomb = "def double(x):\n    return [bytearray(1 << 33), x]"
    assert base_passed(judged(sandbox, [RIGHT, bomb])) == ["HumanEval/0"]


def test_results_do_not_vary(sandbox):
    solutions = [RIGHT, WRONG["wrong"], RIGHT, WRONG["raises"]]
    first, second = (judged(sandbox, solutions) for _ in range(2))
    assert json.dumps([v.row for v in first.values()]) == json.dumps(
        [v.row for v in second.values()]
    )
    assert first["HumanEval/1"].row["base_fail_tests"] == [[1]]


def test_plus_inputs_count_where_there_are_any(sandbox):
    problems = [problem(n, plus_input=[[7]]) for n in range(2)]
    narrow = "def double(x):\n    return [x, x] if x != 7 else 0"
    verdicts = judged(sandbox, [RIGHT, narrow, WRONG["wrong"]], [*problems, problem(2)])
    assert [(v.base, v.plus) for v in verdicts.values()][:2] == [(True, True), (True, False)]
    assert not verdicts["HumanEval/2"].base


def test_mbpp_is_judged_by_its_own_rules(sandbox):
    own = problem(0, task_id="Mbpp/2", base_input=[[[3, 4]]], entry_point="similar_elements")
    own["prompt"], own["canonical_solution"] = "def similar_elements(x):\n", "    return x\n"
    # A set comparison, and lists of the input become tuples.
    turned = "def similar_elements(x):\n    return x[::-1] if type(x) is tuple else 0\n"
    assert base_passed(judged(sandbox, [turned], [own])) == ["Mbpp/2"]


class BrokenSandbox:
    """A sandbox in which no evaluation gets anywhere: a full disk, no memory, a broken NumPy."""

    def __init__(self):
        self.runs = []

    def run(self, request):
        self.runs.append(request)
        return Result(1, "failed", "", "ImportError: numpy", {}, 0.1)


@pytest.mark.parametrize("number", [1, 2, 8])
def test_an_evaluator_that_cannot_run_is_an_error_and_no_score(number):
    broken = BrokenSandbox()
    with pytest.raises(EvaluatorCrashed, match="ImportError: numpy") as raised:
        judged(broken, [RIGHT] * number)
    assert "evaluation.scoring.limits" in raised.value.hint
    # The last run is the control: the canonical solution of a task that crashed alone.
    (sample,) = map(json.loads, broken.runs[-1].files["samples.jsonl"].splitlines())
    assert sample["solution"] == "def double(x):\n    return [x, x]\n"


class FullAfterSandbox(BrokenSandbox):
    """Breaks after some runs, as a disk does that fills up in mid-scoring."""

    def __init__(self, sandbox, after):
        super().__init__()
        self.sandbox, self.after = sandbox, after

    def run(self, request):
        return super().run(request) if len(self.runs) >= self.after else self.counted(request)

    def counted(self, request):
        self.runs.append(request)
        return self.sandbox.run(request)


def test_an_evaluator_that_breaks_in_mid_scoring_is_an_error(sandbox):
    with pytest.raises(EvaluatorCrashed):
        judged(FullAfterSandbox(sandbox, 2), [RIGHT, HOSTILE["floods"], RIGHT])


def test_a_solution_that_alone_crashes_the_evaluator_has_failed(sandbox):
    verdicts = judged(sandbox, [HOSTILE["floods"]])
    assert verdicts["HumanEval/0"].outcome == "crashed"
    assert verdicts["HumanEval/0"].row["base_status"] == "fail"


def test_nothing_of_the_host_gets_into_the_box():
    looking = BrokenSandbox()
    with pytest.raises(EvaluatorCrashed):
        judged(looking, [RIGHT])
    for request in looking.runs:
        assert set(request.mounts) == {"/opt/evalplus"}
        assert request.environment["HUMANEVAL_OVERRIDE_PATH"] == "/box/problems.jsonl"


def test_a_benchmark_that_evalplus_does_not_know():
    with pytest.raises(UserError, match="Other"):
        judged(BrokenSandbox(), [RIGHT], [problem(0, task_id="Other/1")])


def test_the_texts_that_training_data_must_not_resemble():
    documented = problem(prompt='def double(x):\n    """Twice."""\n')
    texts = dict(HUMANEVAL.texts(documented))
    assert texts["docstring"] == "Twice."
    assert texts["function"].startswith("def double(x):")
    assert set(texts) == {
        "prompt",
        "canonical_solution",
        "prompt+solution",
        "docstring",
        "function",
    }
    broken = problem(canonical_solution="    return (\n")
    assert set(dict(HUMANEVAL.texts(broken))) == {"prompt", "canonical_solution", "prompt+solution"}
