"""DS-1000 (Lai et al. 2022, arXiv 2211.11501): problems of data science in Python, the simplified
version of 2024, judged by each problem's own tests.

Each solution is judged in a sandbox of its own, with pinned packages
(evaluation/ds1000/packages.py); the comparison is out of its reach (evaluation/ds1000/inside).
Problems that cannot run here are left out and counted (evaluation/ds1000/left_out.py).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from aiev.core.errors import UserError
from aiev.core.files import module_path
from aiev.core.settings import Section
from aiev.evaluation.benchmarks import base
from aiev.evaluation.benchmarks.base import (
    Description,
    EvaluatorCrashed,
    Published,
    ScoringLimits,
    Task,
    Verdict,
)
from aiev.evaluation.ds1000 import answers, left_out, packages, styles
from aiev.evaluation.rows import read_rows
from aiev.evaluation.styles import CHAT, Style
from aiev.sandbox.request import Limits, Request, Sandbox

HINT = "give ds1000.jsonl of xlang-ai/DS-1000, the simplified version of 2024"
KEYS = ("prompt", "reference_code", "metadata", "code_context")
PROGRAMS = {
    "run.py": module_path("aiev.evaluation.ds1000.inside.run"),
    "handover.py": module_path("aiev.evaluation.ds1000.inside.handover"),
    "solution.py": module_path("aiev.evaluation.ds1000.inside.solution"),
}
ENVIRONMENT = {
    "MPLCONFIGDIR": "/tmp",
    # One solution is one core's work, on every machine.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "2",
}
WALL_FACTOR = 20
"""Wall time of a run, as a multiple of its CPU time: a stop for what nothing else stops."""

CONTROL = {
    "code_context": """
import pandas as pd


def test_execution(solution):
    scope = {"test_input": pd.DataFrame({"a": [1, 2]})}
    exec(solution, scope)
    assert scope["result"] == [2, 4]
""",
    "solution": "result = (2 * test_input['a']).tolist()",
}
"""A problem of ours that is solved wherever anything can be judged."""


class Config(Section):
    """DS-1000."""

    libraries: list[Literal[left_out.LIBRARIES]] = Field(
        list(left_out.LIBRARIES),
        min_length=1,
        description="Libraries whose problems are scored; the others are left out and counted. "
        "Pytorch (68 problems) and Tensorflow (45) cannot be chosen: their packages are not "
        "pinned.",
    )
    run_seconds: int = Field(60, ge=1, description="CPU time of one run of a solution, in seconds.")


@dataclass(frozen=True)
class Judged:
    """What the checker said: an outcome, and words; None where it did not come to its end."""

    outcome: str | None
    said: str
    ended: str
    seconds: float


class Benchmark(base.Benchmark):
    """The problems of some libraries; see the module."""

    Config = Config
    published: ClassVar = {"ds1000": Published("ds1000")}

    @property
    def evaluator(self) -> str:
        versions = (f"{name} {packages.WHEELS[name][0]}" for name in ("numpy", "pandas", "scipy"))
        return f"DS-1000 ({', '.join(versions)})"

    @property
    def left_out(self) -> Mapping[str, str]:
        return left_out.left_out(self.config.libraries)

    def load(self, path: Path) -> list[Task]:
        tasks, without = [], self.left_out
        for number, row in enumerate(read_rows(path, HINT), 1):
            task_id = _task_id(row, f"{path}, row {number}")
            if task_id not in without:
                tasks.append({**row, "task_id": task_id})
        if len({task["task_id"] for task in tasks}) != len(tasks) or not tasks:
            raise UserError("no problems, or one of them twice", where=str(path), hint=HINT)
        return tasks

    def prepare(self, source: Path, sandbox: Sandbox, limits: Limits) -> list[Task]:
        """Load, after the packages are there and work: before any answer is paid for."""
        self._check(sandbox, ScoringLimits.of({}))
        return self.load(source)

    def describe(self, tasks: Sequence[Task]) -> Description:
        size = sum(map(len, left_out.PROBLEMS.values())) - len(self.left_out)
        return Description("DS-1000", size, {"AutoCoder 33B (paper)": [47.2]})

    def prompt(self, task: Task) -> str:
        return self.style(CHAT).prompt(task)

    def extract(self, answer: str, task: Task) -> str:
        return self.style(CHAT).extract(answer, task)

    def styles(self) -> Mapping[str, Style]:
        return styles.styles()

    def samples(self, row: Any) -> list[Any]:
        """Completions, and the rows of DS-1000's own answer files: {id, code}."""
        if not isinstance(row, dict):
            return [row]
        code = row.get("code")
        code = code[0] if isinstance(code, list) and code else code
        if isinstance(code, str) and "task_id" not in row:
            about = row.get("metadata")
            own = about.get("problem_id") if isinstance(about, dict) else None
            task = left_out.task_id(row.get("id") if own is None else own)
            return [{"task_id": task, "solution": answers.cut(code)}]
        if isinstance(row.get("completion"), str) and row.get("solution") is None:
            return [{**row, "solution": answers.cut(row["completion"])}]
        return [row]

    def canonical(self, task: Task) -> str:
        return task["reference_code"]

    def texts(self, task: Task) -> Iterable[tuple[str, str]]:
        yield "prompt", task["prompt"]
        yield "reference_code", task["reference_code"]

    def judge(
        self,
        tasks: Sequence[Task],
        solutions: Mapping[str, str],
        sandbox: Sandbox,
        limits: ScoringLimits,
    ) -> dict[str, Verdict]:
        self._check(sandbox, limits)

        def one(task: Task) -> Judged:
            problem = {
                "code_context": task["code_context"],
                "solution": solutions[task["task_id"]],
            }
            judged = self._run(problem, sandbox, limits)
            if judged.outcome is None and judged.ended in ("passed", "failed", "crashed"):
                self._check(sandbox, limits, task["task_id"])
            return judged

        with ThreadPoolExecutor(limits.parallel) as pool:
            found = list(zip(tasks, pool.map(one, tasks), strict=True))
        verdicts = {task["task_id"]: _verdict(judged) for task, judged in found}
        # Files that cannot be written, or packages that went, look like errors in a solution.
        if failed := [task for task, verdict in verdicts.items() if not verdict.base]:
            self._check(sandbox, limits, failed[0])
        return verdicts

    def _check(self, sandbox: Sandbox, limits: ScoringLimits, where: str = "") -> None:
        """Raise EvaluatorCrashed unless a problem of ours is solved with the pinned packages."""
        judged = self._run(CONTROL, sandbox, limits)
        if judged.outcome != "passed":
            raise EvaluatorCrashed(
                f"no problem can be judged: {judged.outcome or judged.ended}: {judged.said}",
                where=where or "DS-1000",
                hint="free memory and disk; delete .aiev/layers, which is then made again",
            )

    def _run(self, problem: Mapping[str, str], sandbox: Sandbox, limits: ScoringLimits) -> Judged:
        seconds = self.config.run_seconds
        settings = {"modules": modules(problem["code_context"]), "seconds": seconds}
        result = sandbox.run(
            Request(
                {
                    **{name: path.read_text("utf-8") for name, path in PROGRAMS.items()},
                    "settings.json": json.dumps(settings),
                    "problem.json": json.dumps(problem),
                },
                ("python", "run.py"),
                Limits(
                    wall_seconds=WALL_FACTOR * seconds,
                    cpu_seconds=2 * seconds,  # of any one process; run.py counts them together
                    memory_mib=limits.solution_memory_mib,
                ),
                ENVIRONMENT,
                mounts=packages.layer().mounts,
            )
        )
        try:
            said = json.loads(result.stdout.rstrip().rpartition("\n")[2])
            outcome, words = said["outcome"], said["said"]
        except (ValueError, LookupError, TypeError):
            outcome, words = None, result.stderr[-500:]
        return Judged(outcome, words, result.outcome, result.seconds)


def _task_id(row: Any, where: str) -> str:
    missing = [key for key in KEYS if not isinstance(row, dict) or key not in row]
    if missing:
        raise UserError(
            f"not a problem of DS-1000: no {', '.join(missing)}", where=where, hint=HINT
        )
    return left_out.task_id(row["metadata"]["problem_id"])


def _verdict(judged: Judged) -> Verdict:
    outcome = judged.outcome
    if outcome is None:
        # The solution ended the checker: an exit code says nothing of it.
        outcome = "crashed" if judged.ended in ("passed", "failed") else judged.ended
    return Verdict(outcome == "passed", None, outcome, seconds=judged.seconds)


def modules(code_context: str) -> list[str]:
    """Modules that a problem's tests import, to be read once for checker and solution."""
    found = re.findall(r"^\s*(?:import|from)\s+([\w.]+)", code_context, re.MULTILINE)
    return sorted({name.strip(".") for name in found} - {""})
