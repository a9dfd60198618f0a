"""The judge by EvalPlus's rules in the real sandbox: solutions that are right, wrong, endless and
hostile, and sandboxes in which it cannot run."""

import json
import os

import pytest

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import EvaluatorCrashed, ScoringLimits, open_benchmark
from aiev.evaluation.evalplus import execution
from aiev.evaluation.evalplus.execution import Seen
from aiev.evaluation.evalplus.hidden import hidden_tests, passable
from aiev.evaluation.evalplus.inside import values
from aiev.evaluation.evalplus.judge import _on_a_slow_machine, _phase
from aiev.evaluation.evalplus.oracle import oracles
from aiev.evaluation.evalplus.problems import UNPASSABLE
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


@pytest.fixture(scope="module", autouse=True)
def directory(tmp_path_factory):
    """A working directory of the tests' own: expected outputs are kept below it."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("evaluation"))
    yield
    os.chdir(before)


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
    # Each gets back what EvalPlus's guard takes away.
    "writes-the-result": """
import _io
with _io.open("/box/ends.json", "w") as file:
    file.write('{"base": {"outcome": "passed", "seconds": 0}}')
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
    "stops-its-observer": "import ctypes\nctypes.CDLL(None).kill(ctypes.CDLL(None).getppid(), 9)",
}
CHEATS = {
    "equal-to-all": "from unittest.mock import ANY\ndef double(x):\n    return ANY",
    "own-eq": """
class Right(list):
    def __eq__(self, other): return True
    def __len__(self): return 2
def double(x):
    return Right([1])
""",
    "finds-expected": """
import sys
def double(x):
    frame = sys._getframe(1)
    while frame:
        for name, value in frame.f_locals.items():
            if name in ("expected", "exp"):
                return value
        frame = frame.f_back
    return [x]
""",
    "reads-files": """
import _io, os
def double(x):
    return [_io.open(name).read() for name in os.listdir(".")]
""",
    "patches-the-comparison": """
import json, values
values.dump = values.encode = lambda *_: "true"
json.dumps = lambda *_: "[1, 1]"
def double(x):
    return True
""",
    "exits-with-success": "import os\ndef double(x):\n    os._exit(0)",
    "leaves-early": "def double(x):\n    raise SystemExit(0)",
    "at-exit": "import atexit, os\natexit.register(os._exit, 0)\ndef double(x):\n    return 1",
    "clears-the-inputs": """
import sys
def double(x):
    frame = sys._getframe(1)
    frame.f_locals.get("inputs", []).clear()
    raise SystemExit
""",
    "traces-over": "import sys\nsys.settrace(lambda *_: None)\ndef double(x):\n    return [x]",
    "looks-into-memory": """
import ctypes, _io
def double(x):
    for line in _io.open("/proc/%d/maps" % ctypes.CDLL(None).getppid()):
        first, last = (int(word, 16) for word in line.split()[0].split("-"))
        with _io.open("/proc/%d/mem" % ctypes.CDLL(None).getppid(), "rb", 0) as memory:
            memory.seek(first)
            memory.read(last - first)
    return 0
""",
    "asks-the-garbage-collector": """
import gc
def double(x):
    for each in gc.get_objects():
        if type(each) is dict and each.get("entry_point") == "double":
            each["entry_point"] = "abs"
            return each.get("expected", 0)
    return 0
""",
    "writes-to-descriptors": """
import posix
def double(x):
    for fd in range(3, 64):
        try:
            posix.write(fd, b"0.0 [1, 1]\\n" * 9)
        except OSError:
            pass
    return [x]
""",
    "a-thread-that-outlives-it": """
import threading, time, _io
def write():
    while True:
        time.sleep(0.001)
        with _io.open("/box/outputs.base.jsonl", "a") as file:
            file.write("0.0 [1, 1]\\n")
def double(x):
    threading.Thread(target=write, daemon=True).start()
    raise SystemExit(0)
""",
    "a-pickle-of-its-own": """
class All:
    def __reduce__(self):
        from unittest.mock import _ANY
        return _ANY, ()
def double(x):
    return All()
""",
    "another-module-by-that-name": """
import sys, types
sys.modules["values"] = types.SimpleNamespace(dump=lambda _: "[1, 1]", encode=lambda _: "[1, 1]")
sys.modules["json"] = types.SimpleNamespace(dumps=lambda *_, **__: "[1, 1]")
def double(x):
    return 1
""",
    "generator": "def double(x):\n    yield x\n    yield x",
}
DAEMON = """
import posix, time, _io
if not posix.fork():
    posix.setsid()
    while True:
        with _io.open("/box/ends.json", "w") as file:
            file.write('{"base": {"outcome": "passed", "seconds": 0}}')
        time.sleep(0.001)
"""


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
    named = dict(zip(["right", *WRONG, "again"], verdicts.values(), strict=True))
    ran = [name for name, verdict in named.items() if verdict.ran]
    assert ran == ["right", "wrong", "again"], "all calls returned"


def test_hostile_solutions_fail_alone(sandbox):
    verdicts = judged(sandbox, [RIGHT, *HOSTILE.values(), RIGHT])
    last = len(HOSTILE) + 1
    assert base_passed(verdicts) == ["HumanEval/0", f"HumanEval/{last}"]
    assert "crashed" in {verdict.outcome for verdict in verdicts.values()}


def test_cheats_do_not_pass(sandbox):
    verdicts = judged(sandbox, [*CHEATS.values(), RIGHT])
    named = dict(zip([*CHEATS, "right"], verdicts.values(), strict=True))
    assert [name for name, verdict in named.items() if verdict.base] == ["right"]


def test_limits_count_cpu_time_and_a_sleeper_is_stopped(sandbox):
    # Of 1.5 s on the clock almost nothing is CPU time; the limit is 0.5 s.
    waits = "import time\ndef double(x):\n    time.sleep(0.75)\n    return [x, x]"
    sleeps = "import time\ndef double(x):\n    time.sleep(1000)"
    verdicts = judged(sandbox, [waits, sleeps, WRONG["endless"]])
    outcomes = [verdict.outcome for verdict in verdicts.values()]
    assert outcomes == ["passed", "timed-out", "timed-out"]
    assert verdicts["HumanEval/2"].seconds > 0.4 > verdicts["HumanEval/1"].seconds


SLOW = """
import time
def double(x):
    end = time.process_time() + 0.8
    while time.process_time() < end:
        pass
    return [x, x]
"""


@pytest.mark.parametrize(
    ("factors", "outcome"),
    [
        ((1.0,), "timed-out"),
        ((4.0, 4.0), "passed"),
        ((4.0, 1.0), "timed-out"),  # the machine was free again while it ran
        ((1.3, 8.0, 8.0), "passed"),
    ],
)
def test_where_the_machine_is_slow_a_limit_is_longer(sandbox, monkeypatch, factors, outcome):
    """The limit is 0.5 s, and only what ran into it asks for the machine's speed."""
    left = list(factors)
    monkeypatch.setattr("aiev.evaluation.evalplus.judge.slowdown", lambda _: left.pop(0))
    (verdict, *others) = judged(sandbox, [SLOW, RIGHT, WRONG["wrong"]]).values()
    assert verdict.outcome == outcome and left == []
    assert [each.outcome for each in others] == ["passed", "failed"]


def test_the_time_of_the_canonical_solution_is_that_of_the_reference_machine(
    sandbox, monkeypatch, tmp_path
):
    """Made while the machine is four times slower, the limits are those of an idle one, and grow
    with the machine's speed of the moment when a solution is late."""
    monkeypatch.setattr("aiev.evaluation.speed.slowdown", lambda _: 4.0)
    takes = "    import time\n    end = time.process_time() + 0.8\n"
    takes += "    while time.process_time() < end: pass\n    return [x, x]\n"
    own = problem(base_input=[["slow"]], canonical_solution=takes)
    (made,) = oracles([own], sandbox, lambda f, tasks: [*map(f, tasks)], tmp_path).values()
    (seconds,) = made.seconds["base"]
    assert 0.2 <= seconds < 0.4
    (limit,), (longer,) = (_phase("base", made, LIMITS, slower).limits for slower in (1.0, 3.0))
    assert limit == LIMITS.reference_factor * seconds > LIMITS.min_time_limit_seconds
    assert longer == pytest.approx(3 * limit)


@pytest.mark.parametrize(
    ("again", "outcomes"),
    [
        ("passed", ["passed", "passed"]),
        ("crashed", ["passed", "crashed"]),
        (None, ["passed", "timed-out"]),
    ],
)
def test_a_retry_decides_only_about_the_phase_that_was_late(monkeypatch, again, outcomes):
    """A phase that had passed is not run again, and a retry that is broken off changes nothing."""
    monkeypatch.setattr("aiev.evaluation.evalplus.judge.slowdown", lambda _: 4.0)
    first = {"base": Seen("passed", 0.1, (0.1,), ("1",)), "plus": Seen("timed-out", 1.0, (), ())}
    asked = []

    def run(_, phases):
        asked.append(list(phases))
        found = {name: Seen(again, 2.0, (2.0,), ("1",)) for name in phases} if again else None
        return found, Result(1, "crashed", "", "", {}, 0.1)

    def phases_of(factor):
        return {name: execution.phase(["[1]\n"], [factor], factor) for name in first}

    seen = _on_a_slow_machine(run, "", phases_of, None, first)
    assert [each.outcome for each in seen.values()] == outcomes
    assert asked == [["plus"]] and seen["base"] is first["base"]


def test_a_machine_that_is_ever_slower_is_not_waited_for_without_end(sandbox, monkeypatch):
    factors = [2.0, 3.0, 5.0]
    monkeypatch.setattr("aiev.evaluation.evalplus.judge.slowdown", lambda _: factors.pop(0))
    (verdict,) = judged(sandbox, [WRONG["endless"]]).values()
    assert verdict.outcome == "timed-out" and factors == []


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


def test_an_evaluator_that_cannot_run_is_an_error_and_no_score():
    # No oracle is kept for these problems: the first run of all breaks.
    with pytest.raises(EvaluatorCrashed, match="ImportError: numpy") as raised:
        judged(BrokenSandbox(), [RIGHT], [problem(base_input=[["new"]])])
    assert "evaluation.scoring.limits" in raised.value.hint


def test_where_a_run_breaks_the_canonical_solution_tells_whose_fault_it_is(sandbox):
    judged(sandbox, [RIGHT])
    broken = BrokenSandbox()
    with pytest.raises(EvaluatorCrashed, match="ImportError: numpy"):
        judged(broken, [WRONG["wrong"]])
    solutions = [request.files["solution.py"] for request in broken.runs]
    assert solutions == [WRONG["wrong"].encode(), RIGHT.encode()]


@pytest.mark.parametrize(
    "ends",
    [
        b"[" * 200_000,
        b'{"base": ' + b"[" * 200_000,
        b'{"base": {"outcome": "passed"}}',
        b'{"base": 3}',
        b"[]",
        b"",
        b'{"base": {"outcome": "great", "seconds": 1}}',
        b'{"base": {"outcome": "failed", "seconds": NaN}}',
    ],
    ids=[
        *("deep", "deeper", "without a time", "a number", "a list", "empty"),
        *("an outcome of its own", "no time"),
    ],
)
def test_what_no_observer_writes_is_an_evaluator_s_error(ends, sandbox):
    judged(sandbox, [RIGHT])

    class Lying:
        def run(self, request):
            return Result(0, "passed", "", "", {"ends.json": ends}, 0.1)

    with pytest.raises(EvaluatorCrashed):
        judged(Lying(), [RIGHT])


@pytest.mark.parametrize(
    ("lines", "read"),
    [("0.1 7\n", True), (f"0.1 {'7' * 70_000}\n", False), ("nan 7\n", False), ("7\n", False)],
    ids=["a value", "longer than any", "no time", "no value"],
)
def test_what_a_solution_may_have_written_is_read_with_bounds(lines, read):
    end = json.dumps({"base": {"outcome": "passed", "seconds": 0.1}}).encode()
    files = {"ends.json": end, "outputs.base.jsonl": lines.encode()}

    class Forged:
        def run(self, request):
            return Result(0, "passed", "", "", files, 0.1)

    phases = {"base": execution.phase(["[1]\n"], [1.0])}
    seen, _ = execution.run("", "f", "value", phases, Forged(), 64)
    assert (seen is not None) == read


PRIME = 2**61 - 1  # its multiples have the hash 0


@pytest.mark.parametrize(
    "line",
    [
        {"n": "x.Y", "v": {"q": ["0x" + "f" * 9000, "0x3"]}},
        {"s": [n * PRIME for n in range(3000)]},
        {"f": [{"t": [n * PRIME]} for n in range(3000)]},
        {"d": [{"t": [n * PRIME, 1]} for n in range(3000)]},
    ],
    ids=["a ratio", "a set", "a frozen set of tuples", "a dictionary"],
)
def test_a_value_that_takes_hours_to_build_is_no_value(line):
    with pytest.raises(ValueError, match="too many"):
        values.load(json.dumps(line))


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
    judged(sandbox, [RIGHT] * 3)
    with pytest.raises(EvaluatorCrashed):
        judged(FullAfterSandbox(sandbox, 1), [RIGHT, HOSTILE["kills-everything"], RIGHT])


def test_a_solution_that_alone_crashes_the_evaluator_has_failed(sandbox):
    verdicts = judged(sandbox, [HOSTILE["kills-everything"]])
    assert verdicts["HumanEval/0"].outcome == "crashed"
    assert not verdicts["HumanEval/0"].base


def test_nothing_of_the_host_and_nothing_expected_gets_into_the_box(sandbox):
    expected = [problem(base_input=[["asked-for"]])]
    judged(sandbox, [RIGHT], expected)
    looking = BrokenSandbox()
    with pytest.raises(EvaluatorCrashed):
        judged(looking, [WRONG["wrong"]], expected)
    request = looking.runs[0]
    assert set(request.mounts) <= {"/opt/solution/numpy", "/opt/solution/numpy.libs"}
    whole = " ".join(str(content) for content in request.files.values())
    assert whole.count("asked-for") == 1 and "canonical" not in request.files["task.json"]


def test_find_zero_fails_as_in_evalplus_and_the_reason_is_on_record(sandbox):
    (task_id,) = UNPASSABLE
    own = problem(32, entry_point="find_zero", base_input=[[[1, 2]]])
    own["prompt"], own["canonical_solution"] = "def find_zero(xs):\n", "    return -0.5\n"
    verdicts = judged(sandbox, ["def find_zero(xs):\n    return -0.5\n"], [own])
    assert verdicts[task_id].outcome == "unpassable" and not verdicts[task_id].base


def test_base_tests_alone_where_the_config_says_so(sandbox):
    base_only = open_benchmark("humaneval", "evalplus", {"plus": False})
    problems = [problem(plus_input=[[7]])]
    narrow = {"HumanEval/0": "def double(x):\n    return [x, x] if x != 7 else 0"}
    verdicts = base_only.judge(problems, narrow, sandbox, LIMITS)
    assert (verdicts["HumanEval/0"].base, verdicts["HumanEval/0"].plus) == (True, None)
    assert not base_only.has_plus(problems)


def test_long_values_are_right_by_value(sandbox):
    own = [problem(n, base_input=[[1]]) for n in range(3)]
    for each in own:
        each["canonical_solution"] = "    return list(range(100_000))\n"
    solutions = [
        "def double(x):\n    return [*range(100_000)]",
        "def double(x):\n    return list(map(float, range(100_000)))",
        "def double(x):\n    return [*range(99_999), 0]",
    ]
    assert base_passed(judged(sandbox, solutions, own)) == ["HumanEval/0", "HumanEval/1"]


def long_problem():
    own = problem(base_input=[[1]])
    return own | {"canonical_solution": "    return list(range(20_000))\n"}


class OfLongValues:
    """A sandbox that does something else where a long value is asked for; sizes: of the outputs of
    such runs, in bytes."""

    def __init__(self, sandbox, instead=None):
        self.sandbox, self.instead, self.sizes = sandbox, instead, []

    def run(self, request):
        task = json.loads(request.files.get("task.json", '{"phases": {}}'))
        if all(phase["whole"] is None for phase in task["phases"].values()):
            return self.sandbox.run(request)
        if self.instead:
            return self.instead()
        result = self.sandbox.run(request)
        self.sizes.append(len(result.files["outputs.base.jsonl"]))
        return result


def test_a_value_that_is_longer_than_a_right_one_stays_in_the_sandbox(sandbox):
    watched = OfLongValues(sandbox)
    flood = "def double(x):\n    return 'x' * 5_000_000"
    assert base_passed(judged(watched, [flood], [long_problem()])) == []
    right, own = watched.sizes
    assert right > 100_000 > own


def test_a_sandbox_that_breaks_when_a_long_value_is_compared_is_an_error(sandbox):
    almost = "def double(x):\n    return list(map(float, range(20_000)))"

    def full():
        raise UserError("no space left on the device")

    def broken():
        return Result(1, "crashed", "", "no memory", {}, 0.1)

    with pytest.raises(UserError, match="no space left"):
        judged(OfLongValues(sandbox, full), [almost], [long_problem()])
    with pytest.raises(EvaluatorCrashed, match="no memory"):
        judged(OfLongValues(sandbox, broken), [almost], [long_problem()])
    assert base_passed(judged(sandbox, [almost], [long_problem()])) == ["HumanEval/0"]


def test_expected_outputs_are_made_once(sandbox):
    own = [problem(base_input=[["once"]])]
    counted = FullAfterSandbox(sandbox, 100)
    judged(counted, [RIGHT], own)
    before = len(counted.runs)
    judged(counted, [RIGHT], own)
    assert (before, len(counted.runs)) == (3, 4)


@pytest.mark.parametrize(
    ("solution", "right"),
    [
        (RIGHT, True),
        ("def double(x):\n    return [x, x] if x != 7 else 0", False),
        ("from unittest.mock import ANY\ndef double(x):\n    return ANY", False),
        ("", False),
    ],
)
def test_the_hidden_tests_of_an_audit_are_all_of_a_task_s(solution, right, sandbox):
    tasks = [problem(plus_input=[[7]])]
    assert hidden_tests(tasks, sandbox, LIMITS)("HumanEval/0", solution) is right


def test_an_audit_asks_for_no_task_that_nobody_can_pass():
    assert passable([problem(32), problem(33)]) == [problem(33)]


def test_mbpp_s_inputs_have_python_s_types_in_an_audit_too(sandbox):
    """EvalPlus turns text into complex numbers, which JSON does not have."""
    own = problem(0, task_id="Mbpp/252", base_input=[["(2.2+1j)"]], entry_point="convert")
    own["prompt"], own["canonical_solution"] = "", "import cmath\ndef convert(z):\n    return "
    own["canonical_solution"] += "cmath.polar(z)\n"
    is_right = hidden_tests([own], sandbox, LIMITS)
    assert is_right("Mbpp/252", own["canonical_solution"])


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
