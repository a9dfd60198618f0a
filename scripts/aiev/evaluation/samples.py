"""Sample files in the format of EvalPlus and most other harnesses: JSON Lines, gzipped or not.

A row has `task_id`, and `solution` (a program) or `completion` (what follows the prompt).
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import Task

FORMAT = "each line is a JSON object with task_id, and solution or completion"
MAX_NAMED = 5
"""Tasks that an error names; it counts the others."""


def read_samples(path: Path) -> list[Any]:
    """Rows of a sample file. Raises UserError for one that cannot be read, with the line."""
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"not a sample file: {error}", where=str(path), hint=FORMAT) from error
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            where = f"{path}, line {number}"
            raise UserError(f"not JSON: {error}", where=where, hint=FORMAT) from error
    return rows


def solutions_of(rows: Sequence[Any], tasks: Sequence[Task], where: str) -> dict[str, str]:
    """The one solution for each task, by task id.

    A completion is put behind the task's `prompt`, as EvalPlus does. Raises UserError for a task
    that is missing, unknown or answered twice, and for a row that is no sample.
    """
    known = {task["task_id"]: task for task in tasks}
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        place = f"{where}, line {number}"
        task_id = row.get("task_id") if isinstance(row, dict) else None
        if not isinstance(task_id, str):
            raise UserError("a sample without task_id", where=place, hint=FORMAT)
        if task_id not in known:
            raise UserError(
                f"a sample for {task_id}, which the benchmark does not contain",
                where=place,
                hint=f"its tasks are {_named(sorted(known))}",
            )
        if task_id in found:
            hint = "greedy pass@1 is scored from one sample a task"
            raise UserError(f"a second sample for {task_id}", where=place, hint=hint)
        found[task_id] = _solution(row, known[task_id], place)
    if missing := sorted(known.keys() - found.keys()):
        raise UserError(f"no sample for {_named(missing)}", where=where)
    return found


def _solution(row: Mapping[str, Any], task: Task, place: str) -> str:
    solution, completion = row.get("solution"), row.get("completion")
    if isinstance(solution, str):
        return solution
    if solution is None and isinstance(completion, str):
        return task.get("prompt", "") + completion
    raise UserError(f"no solution for {task['task_id']}", where=place, hint=FORMAT)


def _named(ids: Sequence[str]) -> str:
    rest = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return ", ".join(ids[:MAX_NAMED]) + rest
