"""Expected outputs: what a task's canonical solution returns for its inputs, and how long it takes.

Made once for a task and kept by the digest of all that decides them: the task, the programs that
run it, Python's version, and what times are measured against. EvalPlus keeps them too, all in one
file that its cache trusts.
"""

import gzip
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import mark_used, module_path, write_bytes
from aiev.core.hashing import of_text
from aiev.evaluation import speed
from aiev.evaluation.benchmarks.base import EvaluatorCrashed, Task, dump_tasks
from aiev.evaluation.evalplus import execution
from aiev.evaluation.evalplus.problems import canonical_of
from aiev.sandbox.request import Limits, Request, Sandbox

ORACLES = Path(".aiev/oracles")
"""Where expected outputs are kept, a file a task; below the directory that a run works in."""

READ_INPUTS = module_path("aiev.evaluation.evalplus.inside.read_inputs").read_text("utf-8")
PHASES = ("base", "plus")
ENVIRONMENT = "/opt/environment"
CANONICAL_SECONDS = 600
MEMORY_MIB = 4096
"""Limits of a canonical solution: CPU time of a phase, and memory."""

QUICK_SECONDS = 0.1
"""Up to here the time of the canonical solution decides nothing beside the minimum limit, and the
machine's speed need not be known."""

CRASH_HINT = (
    "the samples are not at fault: the benchmark's own solution ends in the same way. Raise "
    "evaluation.scoring.limits, free memory and disk, or repair the environment (make .venv), then "
    "run again"
)


@dataclass(frozen=True)
class Oracle:
    """What is right for a task; by phase: inputs and expected outputs as lines of `values`, and the
    CPU seconds of the reference machine (`evaluation.speed`) that the canonical solution takes for
    each."""

    inputs: Mapping[str, Sequence[str]]
    expected: Mapping[str, Sequence[str]]
    seconds: Mapping[str, Sequence[float]]


def returns_of(task: Task, canonical: bool = False) -> str:
    """What of a returned value counts for EvalPlus: a key of `run_solution.RETURNS`."""
    from evalplus.eval import _special_oracle as rules

    if not task["task_id"].startswith("Mbpp/"):
        return "value"
    if task["entry_point"] in rules.MBPP_OUTPUT_SET_EQ_TASKS:
        return "set"
    if task["entry_point"] in rules.MBPP_OUTPUT_NOT_NONE_TASKS:
        return "exists" if canonical else "some"
    return "value"


def oracles(
    tasks: Sequence[Task], sandbox: Sandbox, parallel, folder: Path = ORACLES
) -> dict[str, Oracle]:
    """Oracles by task id, made where they are not kept.

    parallel: maps a function over tasks. Raises EvaluatorCrashed when one cannot be made.
    """
    found = {task["task_id"]: _read(folder, task) for task in tasks}
    if missing := [task for task in tasks if found[task["task_id"]] is None]:
        inputs = _inputs(missing, sandbox)

        def make(task: Task) -> Oracle:
            made = _make(task, inputs[task["task_id"]], sandbox)
            write_bytes(_path(folder, task), _packed(made))
            return made

        made = parallel(make, missing)
        found |= {task["task_id"]: each for task, each in zip(missing, made, strict=True)}
    return found


def _path(folder: Path, task: Task) -> Path:
    programs = [READ_INPUTS, execution.RUN_SOLUTION, execution.VALUES]
    versions = [version("evalplus"), platform.python_version()]
    whole = [dump_tasks([task]), *programs, *versions, speed.LOOP, speed.REFERENCE_SECONDS]
    return folder / f"{of_text(json.dumps(whole))}.json.gz"


def _read(folder: Path, task: Task) -> Oracle | None:
    """The kept oracle; None where there is none, or a damaged one."""
    path = _path(folder, task)
    try:
        oracle = Oracle(**json.loads(gzip.decompress(path.read_bytes())))
        mark_used(path)
        return oracle
    except (OSError, EOFError, ValueError, TypeError):
        return None


def _packed(oracle: Oracle) -> bytes:
    return gzip.compress(json.dumps(vars(oracle)).encode(), 1, mtime=0)


def _make(task: Task, inputs: Mapping[str, Sequence[str]], sandbox: Sandbox) -> Oracle:
    phases = {
        name: execution.Phase(
            inputs[name],
            [CANONICAL_SECONDS] * len(inputs[name]),
            CANONICAL_SECONDS,
        )
        for name in PHASES
        if inputs[name]
    }
    source, returns = canonical_of(task), returns_of(task, canonical=True)
    seen, result = execution.run(source, task["entry_point"], returns, phases, sandbox, MEMORY_MIB)
    if seen is None or any(each.outcome != "passed" for each in seen.values()):
        ends = {name: each.outcome for name, each in (seen or {}).items()}
        raise EvaluatorCrashed(
            f"the canonical solution did not run to its end: {ends or result.outcome}: "
            f"{result.stderr.strip()[-1000:] or 'nothing on stderr'}",
            where=task["task_id"],
            hint=CRASH_HINT,
        )
    slow = any(max(each.times) > QUICK_SECONDS for each in seen.values())
    slower = speed.slowdown(sandbox) if slow else 1.0
    return Oracle(
        {name: inputs[name] for name in phases},
        {name: each.lines for name, each in seen.items()},
        {name: [seconds / slower for seconds in each.times] for name, each in seen.items()},
    )


def _inputs(tasks: Sequence[Task], sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Inputs as lines, by task id and phase."""
    request = Request(
        files={
            "read_inputs.py": READ_INPUTS,
            "values.py": execution.VALUES,
            "problems.jsonl": dump_tasks(tasks),
        },
        command=("python", "read_inputs.py"),
        limits=Limits(
            wall_seconds=600, cpu_seconds=300, memory_mib=4096, file_mib=512, disk_mib=1024
        ),
        environment={"PYTHONPATH": ENVIRONMENT},
        mounts={ENVIRONMENT: _environment()},
        collect=("inputs.jsonl",),
    )
    result = sandbox.run(request)
    if result.outcome != "passed" or "inputs.jsonl" not in result.files:
        raise EvaluatorCrashed(
            f"the benchmark's inputs could not be read: {result.outcome}: "
            f"{result.stderr.strip()[-1000:]}",
            where=", ".join(task["task_id"] for task in tasks[:3]),
            hint=CRASH_HINT,
        )
    rows = map(json.loads, result.files["inputs.jsonl"].decode().splitlines())
    return {
        row["task_id"]: {name: [f"{line}\n" for line in row[name]] for name in PHASES}
        for row in rows
    }


def _environment() -> Path:
    """The directory of packages that EvalPlus is installed in, found without importing it."""
    package = find_spec("evalplus")
    if package is None or not package.origin:
        raise UserError("EvalPlus is not installed", hint="make .venv")
    return Path(package.origin).parents[1]
