"""Sample files in the format of EvalPlus and most other harnesses: JSON Lines, gzipped or not.

A row has `task_id`, and `solution` (a program; MultiPL-E calls it `program`) or `completion` (what
follows the prompt).
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
    """The one solution for each task, by task id; see `samples_of`."""
    return {task: solutions[0] for task, solutions in samples_of(rows, tasks, where).items()}


def samples_of(
    rows: Sequence[Any], tasks: Sequence[Task], where: str, each: int = 1
) -> dict[str, list[str]]:
    """The `each` solutions for each task, by task id, in the file's order.

    A completion is put behind the task's `prompt`, as EvalPlus does. Raises UserError for a task
    that is unknown or has more or fewer samples, and for a row that is no sample.
    """
    known = {task["task_id"]: task for task in tasks}
    found: dict[str, list[str]] = {task_id: [] for task_id in known}
    for number, row in enumerate(rows, 1):
        place = f"{where}, line {number}"
        task_id = task_id_of(row, place)
        if task_id not in known:
            raise UserError(
                f"a sample for {task_id}, which the benchmark does not contain",
                where=place,
                hint=f"its tasks are {_named(sorted(known))}; --known-tasks-only leaves out others",
            )
        if len(found[task_id]) == each:
            hint = "greedy pass@1 is scored from one sample a task; --n gives another number"
            count = "a second sample" if each == 1 else f"more than {each} samples"
            raise UserError(f"{count} for {task_id}", where=place, hint=hint)
        found[task_id].append(_solution(row, known[task_id], place))
    if missing := sorted(task for task, solutions in found.items() if not solutions):
        hint = "each task of the benchmark needs a sample; an empty solution counts as failed"
        raise UserError(f"no sample for {_named(missing)}", where=where, hint=hint)
    if short := sorted(task for task, solutions in found.items() if len(solutions) < each):
        hint = "give as many samples for each task as --n says"
        message = f"fewer than {each} samples for {_named(short)}"
        raise UserError(message, where=where, hint=hint)
    return found


def task_id_of(row: Any, place: str) -> str:
    """The task of a row. Raises UserError for a row without one."""
    task_id = row.get("task_id") if isinstance(row, dict) else None
    if not isinstance(task_id, str):
        raise UserError("a sample without task_id", where=place, hint=FORMAT)
    return task_id


def _solution(row: Mapping[str, Any], task: Task, place: str) -> str:
    solution, completion = row.get("solution"), row.get("completion")
    # A complete program, as MultiPL-E's results hold it, is one whatever the benchmark.
    solution = row.get("program") if solution is None else solution
    if isinstance(solution, str):
        return solution
    if solution is None and isinstance(completion, str):
        return task.get("prompt", "") + completion
    raise UserError(f"no solution for {task['task_id']}", where=place, hint=FORMAT)


def _named(ids: Sequence[str]) -> str:
    rest = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return ", ".join(ids[:MAX_NAMED]) + rest
