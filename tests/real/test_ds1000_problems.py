"""DS-1000's own problems and pinned packages: references pass, verdicts are the original's, and a
file of answers in its authors' format is scored by the command."""

import gzip
import json

import pytest
from command import ROOT, aiev
from needs import unavailable

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import ScoringLimits, open_benchmark
from aiev.evaluation.benchmarks.ds1000 import ENVIRONMENT
from aiev.evaluation.ds1000 import packages
from aiev.evaluation.scoring import validate_canonical
from aiev.sandbox.api import Limits, Request, open_sandbox

pytestmark = pytest.mark.real

REFERENCES = (15, 112, 300, 511, 711, 817)
"""One of each library; among them tables that pandas changes once they were pickled (112), YAML
(15), pictures (511)."""
MORE = (229, 271, 353, 526, 724, 909)
"""Values of pandas's rarer kinds (229, 271), pictures (526), a file that the tests write (909)."""
COMPARED = (112, 300, 511, 711, 817)
ORIGINAL = """
import json
problem = json.load(open("problem.json"))
tests = {}
exec(problem["code_context"], tests)
tests["test_execution"](problem["solution"])
if "test_string" in tests:
    tests["test_string"](problem["solution"])
"""
"""How the authors' evaluation judges a solution."""
LIMITS = ScoringLimits.of({})


@pytest.fixture(scope="module")
def layer():
    """The pinned packages, in this checkout's own store."""
    try:
        return packages.layer(ROOT / packages.LAYERS)
    except UserError as error:
        unavailable(f"DS-1000's packages cannot be fetched here: {error.message}")


@pytest.fixture
def sandbox(layer, monkeypatch):
    monkeypatch.chdir(ROOT)
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def ds1000():
    return open_benchmark("ds1000", "ds1000", {})


@pytest.fixture
def tasks(resource, ds1000):
    """The benchmark's tasks by number."""
    loaded = ds1000.load(resource("ds1000"))
    assert len(loaded) == ds1000.describe(loaded).size == 866
    return {task["metadata"]["problem_id"]: task for task in loaded}


@pytest.mark.parametrize("numbers", [REFERENCES, pytest.param(MORE, marks=pytest.mark.nightly)])
def test_references_pass_on_this_machine(numbers, tasks, ds1000, sandbox):
    chosen = [tasks[number] for number in numbers]
    found = validate_canonical(ds1000, chosen, sandbox, LIMITS, [])
    assert (found["passed"], found["exceptions"]) == (len(numbers), [])


def test_verdicts_are_the_original_s(tasks, ds1000, sandbox, layer):
    """For right answers, and for those of another problem."""
    chosen = [tasks[number] for number in COMPARED]
    answers = [task["reference_code"] for task in (*chosen[:2], *chosen[3:], chosen[2])]
    solutions = {task["task_id"]: text for task, text in zip(chosen, answers, strict=True)}
    verdicts = ds1000.judge(chosen, solutions, sandbox, LIMITS)
    found = {task: verdict.base for task, verdict in verdicts.items()}
    assert found == {
        task["task_id"]: original(sandbox, layer, task, solutions[task["task_id"]])
        for task in chosen
    }
    assert sorted(found.values()) == [False] * 3 + [True] * 2


def original(sandbox, layer, task, solution):
    problem = {"code_context": task["code_context"], "solution": solution}
    files = {"main.py": ORIGINAL, "problem.json": json.dumps(problem)}
    limits = Limits(wall_seconds=300, cpu_seconds=60, memory_mib=2048)
    request = Request(files, ("python", "main.py"), limits, ENVIRONMENT, mounts=layer.mounts)
    return sandbox.run(request).outcome == "passed"


def test_answers_in_the_authors_format_are_scored(resource, layer, tmp_path):
    rows = [json.loads(line) for line in resource("ds1000").read_text("utf-8").splitlines()]
    chosen = [rows[number] for number in (300, 377, 711)]
    (tmp_path / "ds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    answers = [
        {"id": row["metadata"]["problem_id"], "code": f"{row['reference_code']}\n</code>\nDone."}
        for row in chosen
    ]
    answers[2]["code"] = "result = None"
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    (tmp_path / "answers.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    places = ["--samples", tmp_path / "answers.jsonl.gz", "--tasks", tmp_path / "ds.jsonl"]
    done = aiev("score", *places, "--kind", "ds1000", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["tasks"], found["base"]["correct"], found["plus"]) == (2, 1, None)
    assert sum(found["left_out"].values()) == 134
    verdicts = (tmp_path / "out/verdicts.jsonl").read_text().splitlines()
    outcomes = {row["task_id"]: row["outcome"] for row in map(json.loads, verdicts)}
    assert outcomes == {"DS-1000/300": "passed", "DS-1000/711": "failed"}
