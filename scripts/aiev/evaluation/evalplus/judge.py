"""EvalPlus's own evaluation of samples, inside the sandbox.

What a hostile solution cannot do: reach the host, another run, or EvalPlus's cache; leave a result
file that we take for EvalPlus's; spoil the verdicts of other tasks: it has no descriptor of
EvalPlus's queues, cannot look into other processes nor, from Linux 6.12 on, signal them, and a run
that it ends is repeated in halves until it stands alone, and then it has failed. What it can do:
EvalPlus compares values in the solution's own process, so code written against EvalPlus can call
itself correct.
"""

import importlib.util
import inspect
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import dump_line
from aiev.evaluation.benchmarks.base import (
    EvaluatorCrashed,
    ScoringLimits,
    Task,
    Verdict,
    dump_tasks,
)
from aiev.evaluation.evalplus.inside import run_evalplus
from aiev.evaluation.evalplus.problems import canonical_of, dataset_of, has_plus
from aiev.evaluation.halves import judge_in_halves
from aiev.sandbox.request import Request, Sandbox

PACKAGES = "/opt/evalplus"
"""Where the sandbox sees the packages of this environment."""

CRASH_HINT = (
    "the samples are not at fault: the benchmark's own solution ends in the same way. Raise "
    "evaluation.scoring.limits (memory_mib, file_mib, disk_mib), free memory and disk, or repair "
    "the environment (make .venv), then run again"
)


def judge(
    problems: Sequence[Task],
    solutions: Mapping[str, str],
    sandbox: Sandbox,
    limits: ScoringLimits,
) -> dict[str, Verdict]:
    """EvalPlus's verdicts on one solution for each problem, in the problems' order.

    A solution that ends EvalPlus itself has failed. Raises EvaluatorCrashed when EvalPlus does not
    get through the canonical solution either.
    """

    def run(some: Sequence[Task], theirs: Mapping[str, str]) -> dict[str, Verdict]:
        return _run(some, theirs, sandbox, limits)

    return judge_in_halves(problems, solutions, run, canonical_of, _crashed)


def inside_source(program: ModuleType) -> str:
    """Source of a program that runs in the sandbox."""
    return inspect.getsource(program)


def _run(
    problems: Sequence[Task],
    solutions: Mapping[str, str],
    sandbox: Sandbox,
    limits: ScoringLimits,
) -> dict[str, Verdict]:
    """Verdicts of one run. Raises EvaluatorCrashed when it did not end well."""
    result = sandbox.run(_request(problems, solutions, limits))
    rows = _rows(result.files.get("results.json", b""), problems, solutions)
    if result.outcome != "passed" or rows is None:
        stderr = result.stderr.strip()[-1000:] or "no results.json, and nothing on stderr"
        raise EvaluatorCrashed(
            f"EvalPlus did not finish: {result.outcome}: {stderr}",
            where=", ".join(problem["task_id"] for problem in problems[:3]),
            hint=CRASH_HINT,
        )
    # EvalPlus's own order is that in which the tasks happened to end.
    return {p["task_id"]: _verdict(_finite(rows[p["task_id"]][0])) for p in problems}


def _verdict(row: dict[str, Any]) -> Verdict:
    base, plus = row["base_status"] == "pass", row["plus_status"]
    passed_plus = None if plus is None else base and plus == "pass"
    statuses = [row["base_status"], *([] if plus is None else [plus])]
    outcome = next((status for status in statuses if status != "pass"), "passed")
    names = {"fail": "failed", "timeout": "timed-out"}
    return Verdict(base, passed_plus, names.get(outcome, outcome), row)


def _request(
    problems: Sequence[Task], solutions: Mapping[str, str], limits: ScoringLimits
) -> Request:
    dataset = dataset_of(problems).name
    settings = {
        "dataset": dataset,
        "base_only": not has_plus(problems),
        "parallel": limits.parallel,
        "min_time_limit": limits.min_time_limit_seconds,
        "gt_time_limit_factor": limits.reference_factor,
        "memory_mib": limits.solution_memory_mib,
    }
    rows = [{"task_id": p["task_id"], "solution": solutions[p["task_id"]]} for p in problems]
    return Request(
        files={
            "run_evalplus.py": inside_source(run_evalplus),
            "settings.json": json.dumps(settings),
            "problems.jsonl": dump_tasks(problems),
            "samples.jsonl": "".join(dump_line(row) + "\n" for row in rows),
        },
        command=("python", "run_evalplus.py"),
        limits=limits.limits,
        environment={
            "PYTHONPATH": PACKAGES,
            f"{dataset.upper()}_OVERRIDE_PATH": "/box/problems.jsonl",
        },
        mounts={PACKAGES: _packages()},
        collect=("results.json",),
    )


def _packages() -> Path:
    """The directory of packages that EvalPlus is installed in, found without importing it."""
    package = importlib.util.find_spec("evalplus")
    if package is None or not package.origin:
        raise UserError("EvalPlus is not installed", hint="make .venv")
    return Path(package.origin).parents[1]


def _rows(data: bytes, problems: Sequence[Task], solutions: Mapping[str, str]) -> Any:
    """Rows by task, if they are of exactly these tasks and solutions; else None."""
    try:
        rows = json.loads(data)["eval"]
        judged = {task: [row["solution"] for row in found] for task, found in rows.items()}
        complete = all({"base_status", "plus_status"} <= {*row} for f in rows.values() for row in f)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not complete:
        return None
    return rows if judged == {p["task_id"]: [solutions[p["task_id"]]] for p in problems} else None


def _crashed(problem: Task, solution: str) -> Verdict:
    """EvalPlus's row for a solution that ended its own evaluation."""
    plus = "fail" if problem["plus_input"] else None
    row = {
        "task_id": problem["task_id"],
        "solution": solution,
        "base_status": "fail",
        "plus_status": plus,
        "base_fail_tests": [],
        "plus_fail_tests": [],
    }
    return Verdict(False, None if plus is None else False, "crashed", row)


def _finite(value: Any) -> Any:
    """The same value with NaN and infinities as text: JSON has none."""
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value
