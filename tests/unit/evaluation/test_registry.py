"""A benchmark is one file: this one lies outside the package, and goes all the way to a score."""

import asyncio
import json

import pytest
from command import aiev_here

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks import BENCHMARKS
from aiev.evaluation.benchmarks.base import (
    EvaluatorCrashed,
    ScoringLimits,
    open_benchmark,
)
from aiev.evaluation.generate import Decoding, generate
from aiev.evaluation.reach import reached
from aiev.evaluation.samples import read_samples, solutions_of
from aiev.evaluation.scoring import (
    check_validation,
    host_facts,
    results,
    score,
    validate_canonical,
    validate_here,
)
from aiev.evaluation.subsets import choose
from aiev.llm.ledger import Answer
from aiev.sandbox.api import Limits, Result, open_sandbox

SUMS = '''
"""Sums: a model answers with an expression, and a program in the sandbox compares."""

import json

from pydantic import Field

from aiev.core.settings import Section
from aiev.evaluation.benchmarks import base
from aiev.evaluation.benchmarks.base import Description, EvaluatorCrashed, Verdict
from aiev.sandbox.api import Request

PROGRAM = """
import json
expression, value = json.load(open("case.json"))
try:
    found = eval(expression) == value
except Exception:
    found = False
json.dump(found, open("found.json", "w"))
"""


class Config(Section):
    polite: bool = Field(False, description="Say please.")


class Benchmark(base.Benchmark):
    Config = Config
    evaluator = "sums 1"

    def load(self, path):
        return [json.loads(line) for line in path.read_text().splitlines()]

    def describe(self, tasks):
        return Description("Sums", 4, {"Some paper": [50.0]})

    def prompt(self, task):
        return ("Please: " if self.config.polite else "") + task["question"]

    def extract(self, answer, task):
        return answer.partition("=")[2].strip()

    def canonical(self, task):
        return str(task["value"])

    def judge(self, tasks, solutions, sandbox, limits):
        def found(task, solution):
            files = {"main.py": PROGRAM, "case.json": json.dumps([solution, task["value"]])}
            request = Request(files, ("python", "main.py"), limits.limits, collect=("found.json",))
            return sandbox.run(request).files.get("found.json")

        def verdict(task, solution):
            own = found(task, solution)
            if own is None and found(task, self.canonical(task)) is None:
                raise EvaluatorCrashed("nothing can be evaluated")
            outcome = "crashed" if own is None else {b"true": "passed", b"false": "failed"}[own]
            return Verdict(outcome == "passed", outcome=outcome)

        return {t["task_id"]: verdict(t, solutions[t["task_id"]]) for t in tasks}
'''

TASKS = [{"task_id": f"Sum/{n}", "question": f"What is {n} + 1?", "value": n + 1} for n in range(4)]
ANSWERS = {
    "What is 0 + 1?": "0 + 1 = 1",
    "What is 1 + 1?": "1 + 1 = 3",
    "What is 2 + 1?": "I cannot.",
    "What is 3 + 1?": "It = __import__('os')._exit(0)",
}


class Scripted:
    async def complete(self, messages, **how):
        return Answer(ANSWERS[messages[0]["content"]], "stop", 10, 20, key="k")


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def sums(tmp_path):
    (tmp_path / "sums.py").write_text(SUMS)
    return open_benchmark("sums", str(tmp_path / "sums.py"), {})


def answered(benchmark, tasks, path):
    rows = asyncio.run(generate(Scripted(), tasks, benchmark.style("chat"), Decoding(64)))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


LIMITS = ScoringLimits.of({"limits": {"wall_seconds": 10, "memory_mib": 256}})


def test_a_benchmark_from_a_file_outside_is_generated_validated_and_scored(sums, sandbox, tmp_path):
    source = tmp_path / "source.jsonl"
    source.write_text(sums.dump(TASKS))
    tasks = choose(sums.prepare(source, sandbox, Limits()), {})
    samples = answered(sums, tasks, tmp_path / "samples.jsonl")
    validation = validate_canonical(sums, tasks, sandbox, LIMITS, [])
    check_validation(validation, sums, tasks, "sums.validation.json")
    solutions = solutions_of(read_samples(samples), tasks, str(samples))
    verdicts = sums.judge(tasks, solutions, sandbox, LIMITS)
    found = score(sums, tasks, verdicts, validation, "0" * 64)
    assert {task: verdict.outcome for task, verdict in verdicts.items()} == {
        "Sum/0": "passed",
        "Sum/1": "failed",
        "Sum/2": "failed",
        "Sum/3": "crashed",
    }
    assert (found["base"]["correct"], found["tasks"], found["plus"]) == (1, 4, None)
    assert (found["title"], found["size"], found["evaluator"]) == ("Sums", 4, "sums 1")
    assert found["paper"] == {"Some paper": [50.0]}
    shares = reached(sums, tasks, solutions, verdicts)
    assert [shares[name]["correct"] for name in ("code", "parses")] == [3, 3]
    assert shares["runs"] is None, "it does not say what ran"
    rows = results(sums, tasks, verdicts)["eval"]
    assert rows["Sum/0"][0]["base_status"] == "pass"
    assert dict(sums.texts(tasks[0])) == {"prompt": "What is 0 + 1?", "canonical_solution": "1"}


def test_anybody_s_sample_file_is_scored_without_a_run(sums, tmp_path):
    samples = answered(sums, TASKS, tmp_path / "samples.jsonl")
    (tmp_path / "tasks.jsonl").write_text(sums.dump(TASKS))
    named = {"samples": samples, "tasks": tmp_path / "tasks.jsonl", "kind": tmp_path / "sums.py"}
    words = [str(word) for name, path in named.items() for word in (f"--{name}", path)]
    done = aiev_here("score", *words, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/score.json").read_text())
    assert found["base"]["correct"] == 1 and found["solved"] == {"base": ["Sum/0"], "plus": None}
    assert len((tmp_path / "out/verdicts.jsonl").read_text().splitlines()) == 4


def test_a_reference_that_fails_is_named_with_both_ways_to_allow_it(sums, tmp_path):
    samples = answered(sums, TASKS, tmp_path / "samples.jsonl")
    (tmp_path / "tasks.jsonl").write_text(sums.dump([{**TASKS[0], "value": "text"}, *TASKS[1:]]))
    named = {"samples": samples, "tasks": tmp_path / "tasks.jsonl", "kind": tmp_path / "sums.py"}
    words = [str(word) for name, path in named.items() for word in (f"--{name}", path)]
    done = aiev_here("score", *words)
    assert done.returncode == 2 and "Sum/0 (failed)" in done.stderr
    assert "--known-exception" in done.stderr and "tasks.known_exceptions" in done.stderr
    done = aiev_here("score", *words, "--known-exception", "Sum/0")
    assert json.loads(done.stdout.splitlines()[-1])["exceptions"] == ["Sum/0"]


def test_its_own_config_keys_are_checked(tmp_path):
    (tmp_path / "sums.py").write_text(SUMS)
    kind = str(tmp_path / "sums.py")
    assert open_benchmark("sums", kind, {"polite": True}).prompt(TASKS[0]).startswith("Please: ")
    with pytest.raises(UserError, match="unknown key") as raised:
        open_benchmark("sums", kind, {"polit": True})
    assert raised.value.where == "config: evaluation.benchmarks.sums: polit"


def test_the_kinds_of_the_package_are_listed_and_others_are_refused():
    assert {"evalplus", "multipl-e"} <= set(BENCHMARKS.names())
    assert not {"base", "__init__"} & set(BENCHMARKS.names())
    with pytest.raises(UserError, match="no kind of benchmark is called 'other'"):
        open_benchmark("x", "other", {})


def test_canonical_solutions_that_fail_are_named_unless_they_are_known_to(sums, sandbox):
    wrong = [*TASKS[:1], {**TASKS[1], "value": "no number"}]
    with pytest.raises(UserError, match=r"Sum/1 \(failed\)") as raised:
        validate_canonical(sums, wrong, sandbox, LIMITS, [])
    assert "Sum/0" not in str(raised.value)
    validation = validate_canonical(sums, wrong, sandbox, LIMITS, ["Sum/1", "Sum/99"])
    counts = (validation["tasks"], validation["passed"], validation["exceptions"])
    assert counts == (2, 1, ["Sum/1"])
    with pytest.raises(UserError, match="this validation file is for other tasks"):
        check_validation(validation, sums, TASKS, "sums.validation.json")
    # What a benchmark's own solution does not pass counts as failed for every model.
    verdicts = sums.judge(wrong, {"Sum/0": "1", "Sum/1": "'no number'"}, sandbox, LIMITS)
    assert verdicts["Sum/1"].base
    assert score(sums, wrong, verdicts, validation, "0" * 64)["base"]["correct"] == 1


class BrokenSandbox:
    def __init__(self):
        self.runs = 0

    def run(self, request):
        self.runs += 1
        return Result(1, "failed", "", "no space left on device", {}, 0.1)


def test_an_evaluator_that_cannot_run_validates_nothing(sums, tmp_path):
    marker, facts = tmp_path / "here" / "marker", host_facts(sums, "e" * 64, {})
    with pytest.raises(EvaluatorCrashed):
        validate_here(sums, TASKS, BrokenSandbox(), LIMITS, [], marker, facts)
    assert not marker.exists()


def test_a_machine_is_validated_once_until_it_changes(sums, sandbox, tmp_path):
    facts = host_facts(sums, "e" * 64, {})
    assert set(facts) == {"environment", "evaluator", "kernel", "machine", "python"}
    marker = tmp_path / "here" / "marker"
    validate_here(sums, TASKS, sandbox, LIMITS, [], marker, facts)
    assert json.loads(marker.read_text()) == facts
    unused = BrokenSandbox()
    validate_here(sums, TASKS, unused, LIMITS, [], marker, facts)
    assert unused.runs == 0


def test_partial_limits_keep_the_wide_defaults():
    found = ScoringLimits.of({"limits": {"wall_seconds": 5}})
    assert found.limits.wall_seconds == 5
    assert found.limits.memory_mib == ScoringLimits.of({}).limits.memory_mib > 4096
    assert found.min_time_limit_seconds == 4
