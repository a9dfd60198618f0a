"""Problem files of EvalPlus and of OpenAI's HumanEval.

An EvalPlus problem has task_id, prompt, entry_point, canonical_solution, contract, base_input,
plus_input and atol; HumanEval+ and MBPP+ come so. HumanEval's has tests as code in place of the
last four: `humaneval.convert` records its inputs.
"""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import Task

SHARED_KEYS = ("task_id", "prompt", "entry_point", "canonical_solution")
HUMANEVAL_KEYS = (*SHARED_KEYS, "test")
FORMATS = "give a JSON Lines file in the form of HumanEval or EvalPlus, gzipped or not"
EVALPLUS_KEYS = (*SHARED_KEYS, "contract", "base_input", "plus_input", "atol")


@dataclass(frozen=True)
class Dataset:
    """A data set that EvalPlus knows.

    name: EvalPlus's own. size: number of tasks in all. paper: greedy pass@1 by EvalPlus in percent,
    [base, plus], from arXiv 2405.14906.
    """

    name: str
    title: str
    size: int
    paper: dict[str, list[float]] = field(default_factory=dict)


AUTOCODER, AUTOCODER_S = "AutoCoder 33B (paper)", "AutoCoder-S 6.7B (paper)"
GPT4 = "GPT-4 Turbo 2024-04 (paper)"

DATASETS = {
    "HumanEval": Dataset(
        "humaneval",
        "HumanEval",
        164,
        {AUTOCODER: [90.9, 78.0], AUTOCODER_S: [78.7, 72.0], GPT4: [90.2, 86.6]},
    ),
    "Mbpp": Dataset(
        "mbpp",
        "MBPP",
        378,
        {AUTOCODER: [82.5, 70.6], AUTOCODER_S: [79.4, 69.8], GPT4: [85.7, 73.3]},
    ),
}
"""By the first part of a task's id."""


UNPASSABLE = {
    "HumanEval/32": "evalplus 0.3.1 checks find_zero by a rule of its own and then skips the line "
    "that counts the input as passed: it finds fewer passed inputs than there are, and every "
    "solution fails"
}
"""Tasks that no solution passes in EvalPlus, and why. They fail here too: scores are comparable."""


def read_problems(path: Path) -> list[Task]:
    """Read the problems of a JSON Lines file, gzipped or not, in the file's order.

    Raises UserError for a file that is damaged, empty, in neither format, or repeats a task.
    """
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        problems = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        message = f"not a readable benchmark: {error}"
        raise UserError(message, where=str(path), hint=FORMATS) from error
    if not problems:
        raise UserError("the benchmark holds no problem", where=str(path), hint=FORMATS)
    keys = EVALPLUS_KEYS if is_evalplus(problems[0]) else HUMANEVAL_KEYS
    for number, problem in enumerate(problems, 1):
        _check(problem, keys, f"{path}, line {number}")
    ids = [problem["task_id"] for problem in problems]
    if repeated := sorted({task for task in ids if ids.count(task) > 1}):
        message = f"tasks that occur twice: {', '.join(repeated)}"
        raise UserError(message, where=str(path), hint="keep one line for each task")
    return problems


def is_evalplus(problem: Any) -> bool:
    return isinstance(problem, dict) and "base_input" in problem


def has_plus(problems: Sequence[Task]) -> bool:
    return any(problem["plus_input"] for problem in problems)


def canonical_of(problem: Task) -> str:
    return problem["prompt"] + problem["canonical_solution"]


def dataset_of(problems: Sequence[Task]) -> Dataset:
    """The data set that the problems are from. Raises UserError when EvalPlus knows none such."""
    prefixes = {problem["task_id"].partition("/")[0] for problem in problems}
    if len(prefixes) != 1 or not prefixes <= DATASETS.keys():
        raise UserError(
            f"not one benchmark that EvalPlus knows: task ids of {', '.join(sorted(prefixes))}",
            hint=f"use problems of one of {', '.join(DATASETS)}",
        )
    return DATASETS[prefixes.pop()]


def _check(problem: Any, keys: tuple[str, ...], where: str) -> None:
    missing = [k for k in keys if k not in problem] if isinstance(problem, dict) else keys
    if missing:
        raise UserError(
            f"not a benchmark problem: no {', '.join(missing)}",
            where=where,
            hint="give HumanEval's or EvalPlus's own file",
        )
