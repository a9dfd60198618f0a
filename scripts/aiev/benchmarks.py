"""Benchmark problems in EvalPlus's own format, and which of them a run scores.

A problem: task_id, prompt, entry_point, canonical_solution, test, contract, base_input, plus_input,
atol. A file that is already so (HumanEval+, MBPP+) is taken as it is; OpenAI's HumanEval is
converted: its tests are code, and the inputs that they use are recorded by running them.
"""

import ast
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from aiev.boxed import record_inputs, text_of
from aiev.digests import of_text
from aiev.errors import UserError
from aiev.progress import log
from aiev.records import write_text
from aiev.sandbox import Limits, Request, Sandbox

Problem = dict[str, Any]

PLAIN_KEYS = ("task_id", "prompt", "entry_point", "canonical_solution")
HUMANEVAL_KEYS = (*PLAIN_KEYS, "test")
EVALPLUS_KEYS = (*PLAIN_KEYS, "contract", "base_input", "plus_input", "atol")
WIDEST_TOLERANCE = 0.01
"""A float in a test's comparison up to here is a tolerance; above, it is a value."""


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
            todo="give HumanEval's or EvalPlus's own file",
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
            where="config key benchmark.subset",
            todo=f"ask for 1 to {len(problems)}, or null for all",
        )
    chosen = sorted(of_text(problem["task_id"]) for problem in problems)[:size]
    return [problem for problem in problems if of_text(problem["task_id"]) in set(chosen)]


def convert(
    problems: list[Problem], sandbox: Sandbox, limits: Limits, most_inputs: int
) -> list[Problem]:
    """HumanEval's problems in EvalPlus's format; those that already are stay as they are.

    most_inputs: cap for one problem (some tests draw 100 random inputs).
    Raises UserError naming the problems whose own tests do not accept their canonical solution.
    """
    if is_evalplus(problems[0]):
        return problems
    problems = [{**problem, "prompt": _prompt(problem)} for problem in problems]
    found = _record(problems, sandbox, limits, most_inputs)
    bad = {t: f.get("error", "no input") for t, f in found.items() if not f.get("inputs")}
    if bad:
        raise UserError(
            "no inputs could be recorded for "
            + "; ".join(f"{task} ({why})" for task, why in sorted(bad.items())),
            todo="check that the benchmark's file is whole",
        )
    unkept = {t: f["unkept"] for t, f in found.items() if f["unkept"]}
    inputs = sum(len(f["inputs"]) for f in found.values())
    log.info("%d problems, %d inputs; not kept: %s", len(problems), inputs, unkept or "none")
    return [
        {
            **{key: problem[key] for key in HUMANEVAL_KEYS},
            "contract": "",
            "base_input": found[problem["task_id"]]["inputs"],
            "plus_input": [],
            "atol": tolerance(problem["test"]),
        }
        for problem in problems
    ]


def _record(
    problems: list[Problem], sandbox: Sandbox, limits: Limits, most: int
) -> dict[str, dict[str, Any]]:
    request = Request(
        files={
            "record_inputs.py": text_of(record_inputs),
            "tasks.json": json.dumps({"tasks": problems, "most": most}),
        },
        command=("python", "record_inputs.py"),
        limits=limits,
        collect=("inputs.json",),
    )
    result = sandbox.run(request)
    if "inputs.json" not in result.files:
        raise UserError(
            f"recording the benchmark's inputs ended with {result.outcome}: {result.stderr[-500:]}",
            todo="raise the limits under scoring in the config",
        )
    found = json.loads(result.files["inputs.json"])
    return {p["task_id"]: found.get(p["task_id"], {"error": "not reached"}) for p in problems}


def _prompt(problem: Problem) -> str:
    """The prompt as EvalPlus gives it to models."""
    prompt = problem["prompt"]
    if problem["task_id"] == "HumanEval/115":
        # Its import stands between the signature and the docstring, which then is none.
        prompt = "import math\n" + prompt.replace("    import math\n", "", 1)
    return prompt


def tolerance(test: str) -> float:
    """The absolute tolerance that a test's own comparisons allow (`abs(a - b) < 1e-6`), else 0."""
    bounds = [
        node.comparators[0].value
        for node in ast.walk(ast.parse(test))
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Lt | ast.LtE)
        and isinstance(node.comparators[0], ast.Constant)
        and isinstance(node.comparators[0].value, float)
    ]
    return max((bound for bound in bounds if 0 < bound <= WIDEST_TOLERANCE), default=0)
