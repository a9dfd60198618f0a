"""OpenAI's HumanEval in EvalPlus's format: its tests are code, and the inputs that they use are
recorded by running them in the sandbox.
"""

import ast
import inspect
import json
from typing import Any

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.evalplus.inside import record_inputs
from aiev.evaluation.evalplus.problems import HUMANEVAL_KEYS, is_evalplus
from aiev.sandbox.request import Limits, Request, Sandbox

MAX_TOLERANCE = 0.01
"""A float in a test's comparison is a tolerance up to here, and a value above."""


def convert(problems: list[Task], sandbox: Sandbox, limits: Limits, max_inputs: int) -> list[Task]:
    """Bring HumanEval's problems into EvalPlus's format; those already in it stay as they are.

    max_inputs: maximum for one problem (some tests draw 100 random inputs).
    Raises UserError naming the problems whose own tests do not accept their canonical solution.
    """
    if is_evalplus(problems[0]):
        return problems
    problems = [{**problem, "prompt": _prompt(problem)} for problem in problems]
    found = _record(problems, sandbox, limits, max_inputs)
    bad = {t: f.get("error", "no input") for t, f in found.items() if not f.get("inputs")}
    if bad:
        raise UserError(
            "no inputs could be recorded for "
            + "; ".join(f"{task} ({why})" for task, why in sorted(bad.items())),
            hint="check that the benchmark's file is whole",
        )
    dropped = {t: f["dropped"] for t, f in found.items() if f["dropped"]}
    inputs = sum(len(f["inputs"]) for f in found.values())
    log.info("%d problems, %d inputs; dropped: %s", len(problems), inputs, dropped or "none")
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
    problems: list[Task], sandbox: Sandbox, limits: Limits, max_inputs: int
) -> dict[str, dict[str, Any]]:
    request = Request(
        files={
            "record_inputs.py": inspect.getsource(record_inputs),
            "tasks.json": json.dumps({"tasks": problems, "max_inputs": max_inputs}),
        },
        command=("python", "record_inputs.py"),
        limits=limits,
        collect=("inputs.json",),
    )
    result = sandbox.run(request)
    if "inputs.json" not in result.files:
        raise UserError(
            f"recording the benchmark's inputs ended with {result.outcome}: {result.stderr[-500:]}",
            hint="raise evaluation.scoring.limits in the config",
        )
    found = json.loads(result.files["inputs.json"])
    return {p["task_id"]: found.get(p["task_id"], {"error": "not reached"}) for p in problems}


def _prompt(problem: Task) -> str:
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
    return max((bound for bound in bounds if 0 < bound <= MAX_TOLERANCE), default=0)
