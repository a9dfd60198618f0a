"""Sample files in the format of EvalPlus and most other harnesses: JSON Lines, gzipped or not.

A row has `task_id`, and `solution` (a program; MultiPL-E calls it `program`) or `completion` (what
follows the prompt). Rows are handled with their place, "FILE, line N", for those that are wrong.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_file, of_json
from aiev.evaluation.benchmarks.base import Benchmark, Task

FORMAT = "each line is a JSON object with task_id, and solution or completion"
ENDS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
JUDGED = ".results."
"""In the names of the files that MultiPL-E's own evaluation writes beside those with samples."""
MAX_NAMED = 5
"""Tasks that an error names; it counts the others."""


Row = tuple[str, Any]
"""A row's place, and what it holds."""


def read_samples(path: Path) -> list[Row]:
    """Rows of a sample file with their places, or of all files of a directory (`sample_files`).
    Raises UserError for one that cannot be read, with the line."""
    return [row for each in sample_files(path) for row in _rows_of(each)]


def sample_files(path: Path) -> list[Path]:
    """The file, or the sample files of a directory: those that MultiPL-E has judged already, where
    there are any. Raises UserError for a directory without."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.iterdir() if each.name.endswith(ENDS))
    if not files:
        raise UserError("no sample file in this directory", where=str(path), hint=FORMAT)
    return [each for each in files if JUDGED in each.name] or files


def samples_digest(path: Path) -> str:
    """Digest of a sample file's bytes, or of those of a directory with their names."""
    files = sample_files(path)
    return of_file(path) if files == [path] else of_json({p.name: of_file(p) for p in files})


def _rows_of(path: Path) -> list[Row]:
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"not a sample file: {error}", where=str(path), hint=FORMAT) from error
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}, line {number}"
        try:
            rows += [(where, json.loads(line))] if line.strip() else []
        except (ValueError, RecursionError) as error:
            if not rows and (whole := _one_document(text)):
                return [(str(path), whole)]
            raise UserError(f"not JSON: {error}", where=where, hint=FORMAT) from error
    return rows


def _one_document(text: str) -> Any:
    """What a file of several lines holds that is one JSON object; None for any other."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return whole if isinstance(whole, dict) else None


def solutions_of(rows: Iterable[Row], tasks: Sequence[Task], where: str) -> dict[str, str]:
    """The one solution for each task, by task id; see `samples_of`."""
    return {task: solutions[0] for task, solutions in samples_of(rows, tasks, where).items()}


def samples_of(
    rows: Iterable[Row], tasks: Sequence[Task], where: str, each: int = 1
) -> dict[str, list[str]]:
    """The `each` solutions for each task, by task id, in the file's order.

    where: the file, for an error that is of no single row. A completion is put behind the task's
    `prompt`, as EvalPlus does. Raises UserError for a task that is unknown or has more or fewer
    samples, and for a row that is no sample.
    """
    known = {task["task_id"]: task for task in tasks}
    found: dict[str, list[str]] = {task_id: [] for task_id in known}
    for place, row in rows:
        task_id = task_of(row)
        if task_id is None:
            raise UserError("a sample without task_id", where=place, hint=FORMAT)
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


def check_programs(
    benchmark: Benchmark, rows: Iterable[Row], tasks: Sequence[Task], where: str
) -> None:
    """Raise UserError for programs with other tests than the tasks': they would fail for that."""
    if others := benchmark.of_other_tests((row for _, row in rows), tasks):
        raise UserError(
            f"programs whose tests are not those of this benchmark's file: {len(others)}, the "
            f"first one of {others[0]}",
            where=where,
            hint="give the file that they were made from with --tasks and --kind; or give what "
            "they hold without tests as `solution` in place of `program`",
        )


def task_of(row: Any) -> str | None:
    """The task that a row says that it is for; None for one that says none."""
    task_id = row.get("task_id") if isinstance(row, dict) else None
    return task_id if isinstance(task_id, str) else None


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
