"""DS-1000 in the real sandbox, on problems of our own and with this environment's packages: right
and wrong solutions, those that cheat, and machines where nothing can be judged.
tests/real/test_ds1000_problems.py has the benchmark's own problems and packages."""

import gzip
import importlib
import json
import pickle
import shutil
import sysconfig
from collections import Counter, defaultdict, deque
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.core.files import module_path
from aiev.evaluation.benchmarks.base import (
    EvaluatorCrashed,
    ScoringLimits,
    open_benchmark,
    published_benchmarks,
)
from aiev.evaluation.ds1000 import packages
from aiev.evaluation.ds1000.answers import code_of
from aiev.evaluation.samples import samples_of
from aiev.evaluation.scoring import score, validate_canonical
from aiev.sandbox.api import SITE_PACKAGES, Result, open_sandbox
from aiev.sandbox.packages.service import Layer

LIMITS = ScoringLimits.of({"solution_memory_mib": 512})
DS1000 = open_benchmark("ds1000", "ds1000", {"run_seconds": 3})

CONTEXT = '''
import numpy as np


def generate_test_case(number):
    secret = 7 + number
    return list(range(number)), [each + secret for each in range(number)]


def exec_test(result, ans):
    assert result == ans


exec_context = """
import numpy as np
values = test_input
[insert]
"""


def test_execution(solution):
    code = exec_context.replace("[insert]", solution)
    for number in (2, 3):
        test_input, expected_result = generate_test_case(number)
        test_env = {"test_input": test_input}
        exec(code, test_env)
        exec_test(test_env["result"], expected_result)
'''
RIGHT = "result = [each + 7 + len(values) for each in values]"

FILES = """
import time


def test_execution(solution):
    with open("ans.png", "w") as file:
        file.write("right")
    scope = {}
    exec(solution + "\\nresult = None", scope)
    time.sleep(0.5)
    with open("output.png") as found, open("ans.png") as wanted:
        assert found.read() == wanted.read()
"""
"""As Matplotlib's problems compare pictures."""


def problem(number=0, context=CONTEXT, library="Numpy"):
    return {
        "task_id": f"DS-1000/{number}",
        "prompt": "Add.\n<code>\nvalues = [0, 1]\n</code>\nBEGIN SOLUTION\n<code>\n",
        "reference_code": RIGHT,
        "code_context": context,
        "metadata": {"problem_id": number, "library": library},
    }


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture(scope="module")
def own_layer(tmp_path_factory):
    """This environment's packages in place of the pinned ones, which come from the network."""
    folder, installed = tmp_path_factory.mktemp("layer"), Path(sysconfig.get_path("purelib"))
    for name in ("numpy", "numpy.libs", "pandas", "pandas.libs", "dateutil", "pytz"):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, folder / name, ignore=shutil.ignore_patterns("tests"))
    if (installed / "six.py").is_file():
        shutil.copy(installed / "six.py", folder)
    folder.chmod(0o755)
    return Layer("0" * 64, {SITE_PACKAGES: folder}, [])


@pytest.fixture(autouse=True)
def packages_of_this_environment(monkeypatch, own_layer):
    monkeypatch.setattr(packages, "layer", lambda: own_layer)


def judged(sandbox, solutions, context=CONTEXT, benchmark=DS1000):
    """Outcomes by the solutions' names."""
    tasks = [problem(number, context) for number in range(len(solutions))]
    by_task = {task["task_id"]: s for task, s in zip(tasks, solutions.values(), strict=True)}
    verdicts = benchmark.judge(tasks, by_task, sandbox, LIMITS)
    assert all(verdict.base == (verdict.outcome == "passed") for verdict in verdicts.values())
    return dict(zip(solutions, (verdict.outcome for verdict in verdicts.values()), strict=True))


def test_outcomes_are_told_apart(sandbox):
    found = judged(
        sandbox,
        {
            "right": RIGHT,
            "wrong": "result = values",
            "empty": "",
            "syntax-error": "result = (",
            "endless": "while True: pass",
            "memory": "result = bytearray(4 << 30)",
            "many-processes": "import os\nwhile True:\n    if os.fork(): os.wait()",
            "prints": f"{RIGHT}\nprint('x' * 10**6, flush=True)",
        },
    )
    assert found == {
        "right": "passed",
        "wrong": "failed",
        "empty": "failed",
        "syntax-error": "failed",
        "endless": "timed-out",
        "memory": "out-of-memory",
        "many-processes": "failed",
        "prints": "passed",
    }


def test_an_exit_a_signal_or_the_end_of_all_processes_is_no_pass(sandbox):
    found = judged(
        sandbox,
        {
            "exit": "raise SystemExit(0)",
            "hard-exit": "import os\nos._exit(0)",
            "kills-its-parent": "import os\nos.kill(os.getppid(), 9)",
            "kills-all": "import os\nos.kill(-1, 9)",
        },
    )
    assert "passed" not in found.values()
    assert {found["exit"], found["hard-exit"]} == {"failed"}


EQUAL = "class Any(list):\n    __eq__ = lambda self, other: True\nresult = Any(values)"
PICKLED = """
class Sent:
    def __reduce__(self):
        return {call}
result = Sent()
"""
CHEATS = {
    "equal-to-all": EQUAL,
    "mock-any": "from unittest.mock import ANY\nresult = ANY",
    "patches-the-comparison": "import builtins, numpy\nbuiltins.AssertionError = ValueError\n"
    "numpy.array_equal = numpy.allclose = lambda *_, **__: True\nresult = values",
    "reads-the-callers": """
import sys
frame, result = sys._getframe(), values
while frame:
    if "expected_result" in frame.f_locals:
        result = frame.f_locals["expected_result"]
    frame = frame.f_back
""",
    "asks-the-garbage-collector": """
import gc
for each in gc.get_objects():
    if type(each) is dict and "expected_result" in each:
        result = each["expected_result"]
""",
    "reads-the-problem": """
import json, os
for folder, _, names in os.walk("/box"):
    for name in names:
        text = open(os.path.join(folder, name), errors="replace").read()
        if "code_context" in text and "secret = " + "7" in text:
            result = [each + 7 + len(values) for each in values]
""",
    "looks-into-memory": """
import os
result = values
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        regions = open(f"/proc/{process}/maps").read().splitlines()
    except OSError:
        continue
    for line in regions if int(process) != os.getpid() else []:
        first, last = (int(word, 16) for word in line.split()[0].split("-"))
        try:
            with open(f"/proc/{process}/mem", "rb", 0) as memory:
                memory.seek(first)
                found = memory.read(last - first)
        except (OSError, ValueError, OverflowError):
            continue
        if b"secret = " + b"7" in found:
            result = [each + 7 + len(values) for each in values]
""",
    "writes-to-the-output": """
import os
for process in filter(str.isdigit, os.listdir("/proc")):
    for fd in range(64):
        try:
            with open(f"/proc/{process}/fd/{fd}", "w") as file:
                file.write('\\n{"outcome": "passed", "said": ""}')
        except OSError:
            pass
for fd in range(64):
    try:
        os.write(fd, b'\\n{"outcome": "passed", "said": ""}')
    except OSError:
        pass
os._exit(0)
""",
    "pickles-a-class-of-its-own": """
class Class:
    def __call__(self): pass
    def __reduce__(self): return type, ("Any", (), {"__eq__": str})
class Sent:
    def __reduce__(self): return Class(), ()
result = Sent()
""",
    "pickles-a-program": PICKLED.format(call='__import__("os").system, ("true",)'),
    "pickles-a-program-by-another-name": PICKLED.format(
        call='__import__("subprocess").Popen, (["sh", "-c", "kill -9 $PPID"],)'
    ),
    "pickles-code": PICKLED.format(call="eval, (\"__import__('os')._exit(0)\",)"),
}


def test_a_solution_that_cheats_does_not_pass(sandbox):
    found = judged(sandbox, CHEATS)
    assert [name for name, outcome in found.items() if outcome == "passed"] == []


LATE_IMPORT = CONTEXT.replace("assert result == ans", "import sys, wave; assert result == ans")
PLANTED = """
passed = '{"outcome": "passed", "said": ""}'
with open("../wave.py", "w") as file:
    file.write(f"import os; print(); print({passed!r}, flush=True); os._exit(0)")
result = values
"""


def test_no_module_of_the_solution_is_imported_by_the_tests(sandbox):
    found = judged(sandbox, {"right": RIGHT, "plants": PLANTED}, LATE_IMPORT)
    assert found == {"right": "passed", "plants": "failed"}


@pytest.fixture
def loads(monkeypatch):
    monkeypatch.syspath_prepend(module_path("aiev.evaluation.ds1000.inside.handover").parent)
    from handover import loads

    return loads


def named(module, name):
    """A pickle's beginning: the thing of that name."""
    words = (bytes([0x8C, len(word)]) + word.encode() for word in (module, name))
    return b"\x80\x04" + b"".join(words) + b"\x93"


@pytest.mark.parametrize(
    "pickled",
    [
        named("builtins", "eval") + b".",
        named("numpy", "save") + b".",
        named("numpy", "ma.core.inspect.Signature") + b".",
        named("numpy.testing", "KnownFailureException") + b".",
        named("numpy", "ndarray") + b"(N}S'x'\nNst" + b"b.",
        named("builtins", "type") + b"(S'A'\n(t}tR.",
        named("builtins", "getattr") + b"(" + named("numpy", "ndarray")[2:] + b"S'dump'\ntR.",
        # A distribution runs text of its state when it is read.
        named("scipy.stats._continuous_distns", "norm_gen") + b")\x81}(S'_parse_arg_template'\n"
        b"S'import os'\nub.",
        named("operator", "itemgetter") + b"(K\x00tR(]K\x01atR.",
        b"\x80\x04(" + named("operator", "itemgetter")[2:] + b"(K\x00tR]K\x01ao.",
        named("numpy", "add") + b"(K\x01K\x02tR.",
        named("numpy", "ndarray") + b"(K\x03tRK\x00K\x07s.",
        named("numpy", "ndarray") + b"(K\x03tR(K\x00K\x07u.",
        named("numpy", "ndarray") + b"(K\x03tRK\x00a.",
        named("numpy", "ndarray") + b"(K\x03tR(K\x00e.",
        named("numpy", "ndarray") + b"(K\x03tR(K\x00\x90.",
        *(
            named(f"numpy.lib.{module}", "DummyArray") + b"."
            for module in ("stride_tricks", "_stride_tricks_impl")
            if hasattr(importlib.import_module(f"numpy.lib.{module}"), "DummyArray")
        ),
    ],
)
def test_pickles_that_call_or_change_anything_are_refused(loads, pickled):
    with pytest.raises(pickle.UnpicklingError, match="may not"):
        loads(pickled)


def test_an_attribute_may_not_hide_a_method(loads):
    import numpy

    sent = numpy.poly1d([1, 2])
    assert loads(pickle.dumps(sent)) == sent
    sent.__dict__["deriv"] = str
    with pytest.raises(pickle.UnpicklingError, match="deriv of poly1d may not be hidden"):
        loads(pickle.dumps(sent))


def test_plain_values_and_arrays_are_handed_over(loads):
    import numpy

    values = [None, 1.5, {"a": (1, b"x")}, {1, 2}, type(None), numpy.float64, numpy.dtype("<i4")]
    values += [deque([1, 2]), Counter("aab"), defaultdict(list, {1: [2]})]
    assert loads(pickle.dumps(values)) == values


LINKED = """
import glob, os
open("output.png", "w").write("wrong")
for folder in [*glob.glob("/tmp/*/"), "..", "."]:
    os.symlink("output.png", f"{folder}/ans.png")
"""
DAEMON = """
import glob, os, shutil
open("output.png", "w").write("wrong")
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    while True:
        for found in glob.glob("/tmp/*/ans.png"):
            shutil.copy(found, found.replace("ans", "output"))
"""


def test_files_are_compared_where_the_solution_cannot_reach(sandbox):
    found = judged(
        sandbox,
        {
            "right": "open('output.png', 'w').write('right')",
            "wrong": "open('output.png', 'w').write('wrong')",
            "reads": "open('output.png', 'w').write(open('../ans.png').read())",
            "overwrites": "for name in ('ans.png', 'output.png'): open(name, 'w').write('mine')",
            "links": LINKED,
            "outlives-its-end": DAEMON,
        },
        FILES,
    )
    assert [name for name, outcome in found.items() if outcome == "passed"] == ["right"]


def test_random_numbers_go_on_as_in_one_process(sandbox):
    context = """
import numpy as np


def test_execution(solution):
    np.random.seed(3)
    np.random.rand()
    scope = {}
    exec(solution, scope)
    np.random.seed(3)
    assert [np.random.rand() for _ in range(2)][1] == scope["result"]
"""
    found = judged(sandbox, {"own": "import numpy\nresult = float(numpy.random.rand())"}, context)
    assert found == {"own": "passed"}


def test_a_solution_that_waits_is_ended(sandbox):
    assert judged(sandbox, {"waits": "import time\ntime.sleep(10**6)"}) == {"waits": "timed-out"}


class Broken:
    """A sandbox in which nothing runs from the given run on."""

    def __init__(self, sandbox=None, runs=0):
        self.sandbox, self.runs = sandbox, runs

    def run(self, request):
        self.runs -= 1
        if self.runs >= 0:
            return self.sandbox.run(request)
        return Result(1, "failed", "", "OSError: [Errno 28] No space left on device", {}, 0.1)


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_an_evaluator_that_cannot_run_gives_no_verdict(sandbox, runs):
    """Not at the beginning, not while a solution runs, not behind one that failed."""
    solutions = {"DS-1000/0": "result = 0"}
    with pytest.raises(EvaluatorCrashed, match="no problem can be judged") as raised:
        DS1000.judge([problem()], solutions, Broken(sandbox, runs), LIMITS)
    assert "No space left" in str(raised.value)


def test_packages_that_cannot_be_had_are_named_before_anything_is_asked(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(packages, "PYTHON", (3, 99))
    with pytest.raises(UserError, match=r"pinned for Python 3.99 on x86_64"):
        DS1000.prepare(tmp_path / "none", Broken(), LIMITS.limits)


def written(tmp_path, tasks, pack=bytes):
    path = tmp_path / "ds1000.jsonl"
    path.write_bytes(pack("".join(json.dumps(task) + "\n" for task in tasks).encode()))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_cannot_run_is_left_out_and_counted(tmp_path, pack):
    rows = [problem(300), problem(377), problem(519, library="Matplotlib")]
    tasks = DS1000.load(written(tmp_path, rows, pack))
    assert [task["task_id"] for task in tasks] == ["DS-1000/300"]
    assert DS1000.load(written(tmp_path, tasks)) == tasks
    validation = {"exceptions": [], "problems": "0", "evaluator": DS1000.evaluator}
    verdicts = DS1000.judge([], {}, Passing(), LIMITS)
    found = score(DS1000, tasks, verdicts, validation, "0" * 64)
    assert (found["tasks"], found["size"]) == (1, 866)
    assert sum(found["left_out"].values()) == 1000 - 866
    words = " ".join(found["left_out"])
    assert all(word in words for word in ("network", "PyTorch", "TensorFlow", "XGBoost"))


class Passing:
    def run(self, request):
        return Result(0, "passed", '{"outcome": "passed", "said": ""}', "", {}, 0.1)


def test_libraries_are_chosen_by_the_config(tmp_path):
    chosen = open_benchmark("numpy", "ds1000", {"libraries": ["Numpy"]})
    rows = [problem(300), problem(0, library="Pandas")]
    assert [task["task_id"] for task in chosen.load(written(tmp_path, rows))] == ["DS-1000/300"]
    assert chosen.describe([]).size == 220 - 4
    assert len(chosen.left_out) == 1000 - 216
    with pytest.raises(UserError, match="Pytorch") as raised:
        open_benchmark("torch", "ds1000", {"libraries": ["Pytorch"]})
    assert "libraries" in raised.value.where


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([{"task_id": "HumanEval/0", "prompt": ""}], "not a problem of DS-1000: no reference_code"),
        ([[]], "not a problem of DS-1000"),
        ([problem(0)] * 2, "twice"),
        ([], "no problems"),
        ([problem(377)], "no problems"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, rows, word):
    with pytest.raises(UserError, match=word):
        DS1000.load(written(tmp_path, rows))


def test_a_damaged_file_is_refused(tmp_path):
    path = written(tmp_path, [problem()], gzip.compress)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="not a readable benchmark") as raised:
        DS1000.load(path)
    assert "DS-1000" in raised.value.hint


def test_a_reference_that_fails_stops_the_scoring(sandbox):
    tasks = [problem(0), {**problem(1), "reference_code": "result = 1"}]
    with pytest.raises(UserError, match=r"DS-1000/1 \(failed\)") as raised:
        validate_canonical(DS1000, tasks, sandbox, LIMITS, [])
    assert "DS-1000/0" not in str(raised.value)


@pytest.mark.parametrize(
    "row",
    [
        {"task_id": "DS-1000/5", "solution": "x = 1\n"},
        {"task_id": "DS-1000/5", "completion": "x = 1\n</code>\nEND SOLUTION\n<code>"},
        {"id": 5, "code": "x = 1\n</code>"},
        {"id": 0, "code": ["x = 1\n```\nThat is it."], "metadata": {"problem_id": 5}},
    ],
)
def test_samples_are_read_in_the_formats_that_there_are(row):
    rows = [("samples.jsonl, line 1", each) for each in DS1000.samples(row)]
    found = samples_of(rows, [problem(5)], "samples.jsonl")
    assert found == {"DS-1000/5": ["x = 1\n"]}


@pytest.mark.parametrize(
    "answer",
    [
        "<code>\nx = 1\n</code>",
        "Sure.\n<code>\n```python\nx = 1\n```\n</code>\nDone.",
        "```python\nx = 1\n```",
        "```python\n# some given code\nBEGIN SOLUTION\n<code>\nx = 1\n</code>\nEND SOLUTION\n```",
        "x = 1\n</code>\nEND SOLUTION",
        "x = 1",
    ],
)
def test_code_is_taken_out_of_an_answer(answer):
    assert code_of(answer, 0) == "x = 1\n"
    assert code_of(answer, 4) == "    x = 1\n"


def test_code_that_is_indented_already_stays_where_it_is():
    inside = {**problem(), "prompt": "def f():\n    ### BEGIN SOLUTION"}
    assert DS1000.extract("<code>\n    x = 1\n</code>", inside) == "    x = 1\n"
    assert DS1000.extract("<code></code>", problem()) == ""


def test_users_find_it_by_its_name():
    assert published_benchmarks()["ds1000"][0] == "ds1000"
    assert "BEGIN SOLUTION" in DS1000.prompt(problem())
