"""Benchmark problems in EvalPlus's own format, and which of them a run scores.

A problem: task_id, prompt, entry_point, canonical_solution, test, contract, base_input, plus_input,
atol. A file that is already so (HumanEval+, MBPP+) is taken as it is; OpenAI's HumanEval is brought
into it by `recording`, which needs the sandbox: nothing here does.
"""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import write_text
from aiev.core.hashing import of_text

Problem = dict[str, Any]

PLAIN_KEYS = ("task_id", "prompt", "entry_point", "canonical_solution")
HUMANEVAL_KEYS = (*PLAIN_KEYS, "test")
EVALPLUS_KEYS = (*PLAIN_KEYS, "contract", "base_input", "plus_input", "atol")


def read_problems(path: Path) -> list[Problem]:
    """Problems of a JSON Lines file, gzipped or not, in the file's order.

    Raises UserError for a file that is damaged, empty, of neither format, or repeats a task.
    """
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        problems = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"not a readable benchmark: {error}", where=str(path)) from error
    if not problems:
        raise UserError("the benchmark holds no problem", where=str(path))
    kind = is_evalplus(problems[0])
    for number, problem in enumerate(problems, 1):
        _check(problem, EVALPLUS_KEYS if kind else HUMANEVAL_KEYS, f"{path}, line {number}")
    ids = [problem["task_id"] for problem in problems]
    if repeated := sorted({task for task in ids if ids.count(task) > 1}):
        raise UserError(f"tasks that occur twice: {', '.join(repeated)}", where=str(path))
    return problems


def lines_of(problems: list[Problem]) -> str:
    """The problems as JSON Lines.

    Only the problems' own keys are sorted: the order of a dictionary among the inputs is part of
    the test. MBPP+ holds a NaN, which EvalPlus reads.
    """
    rows = ({key: problem[key] for key in sorted(problem)} for problem in problems)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_problems(path: Path, problems: list[Problem]) -> None:
    write_text(path, lines_of(problems))


def is_evalplus(problem: Any) -> bool:
    return isinstance(problem, dict) and "base_input" in problem


def _check(problem: Any, keys: tuple[str, ...], where: str) -> None:
    missing = [k for k in keys if k not in problem] if isinstance(problem, dict) else keys
    if missing:
        raise UserError(
            f"not a benchmark problem: no {', '.join(missing)}",
            where=where,
            hint="give HumanEval's or EvalPlus's own file",
        )


def choose(problems: list[Problem], size: int | None) -> list[Problem]:
    """The `size` problems whose ids have the smallest digests, in file order; all when None.

    A larger subset holds every smaller one, and no end of the file is favoured.
    Raises UserError when there are fewer than `size`.
    """
    if size is None:
        return problems
    if not 1 <= size <= len(problems):
        raise UserError(
            f"a subset of {size} out of {len(problems)} problems",
            where="config: evaluation.benchmarks.<name>.subset",
            hint=f"ask for 1 to {len(problems)}, or null for all",
        )
    chosen = sorted(of_text(problem["task_id"]) for problem in problems)[:size]
    return [problem for problem in problems if of_text(problem["task_id"]) in set(chosen)]
