"""Scores: EvalPlus judges samples inside the sandbox, after it has judged what must pass.

What a hostile solution cannot do: touch the host, another run, or EvalPlus's cache; leave a result
file for us to take; break the score of other tasks (a run that it ends is repeated in halves until
it stands alone, and then it has failed). What it can: EvalPlus compares answers in the solution's
own process, so that code written against EvalPlus can call itself correct, here as elsewhere.
"""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import dump_line, write_text
from aiev.core.hashing import of_bytes, of_text
from aiev.core.log import log
from aiev.core.settings import Section
from aiev.evaluation.benchmarks.base import Problem, lines_of
from aiev.evaluation.benchmarks.boxed import run_evalplus, text_of
from aiev.evaluation.stats import share
from aiev.sandbox.api import Limits, Request, Sandbox

PACKAGES = "/opt/evalplus"
"""Where the box sees the packages of this environment."""

DATASETS = {"HumanEval": "humaneval", "Mbpp": "mbpp"}
"""EvalPlus's name of a data set, by the first part of its task ids."""


@dataclass(frozen=True)
class Rules:
    """What decides whether an answer is in time; wide, so that scores do not move with a machine.

    min_time_limit_seconds: each input has at least this long.
    reference_factor: ... and at least so many times what the canonical solution took.
    parallel: solutions judged at once. solution_memory_mib: what each may use.
    limits: of the whole box, which also holds EvalPlus's expected answers: for HumanEval+ and MBPP+
    some gigabytes of memory, and as a file.
    """

    min_time_limit_seconds: float
    reference_factor: float
    parallel: int
    solution_memory_mib: int
    limits: Limits

    @classmethod
    def of(cls, params: dict[str, Any]) -> "Rules":
        """From the config's `scoring`."""
        return cls(**{**params, "limits": Limits(**params["limits"])})


class Broken(UserError):
    """EvalPlus did not get to its end."""


def evaluate(
    problems: list[Problem], solutions: dict[str, str], sandbox: Sandbox, rules: Rules
) -> dict[str, Any]:
    """EvalPlus's result for one solution per problem: {"eval": {task: [row]}, "hash"}.

    plus_status is None where the problems have no further inputs. A solution that ends EvalPlus
    itself has failed; which one it was is found by halves.
    """
    found = _judge(problems, solutions, sandbox, rules)
    return _result(problems, found)


def _judge(
    problems: list[Problem], solutions: dict[str, str], sandbox: Sandbox, rules: Rules
) -> dict[str, list[dict[str, Any]]]:
    try:
        return _run(problems, solutions, sandbox, rules)
    except Broken as error:
        ids = [problem["task_id"] for problem in problems]
        log.info("%s: %s", ", ".join(ids), error)
        if len(problems) == 1:
            return {ids[0]: [_failed(problems[0], solutions[ids[0]])]}
    half = len(problems) // 2
    first = _judge(problems[:half], solutions, sandbox, rules)
    return first | _judge(problems[half:], solutions, sandbox, rules)


def _run(
    problems: list[Problem], solutions: dict[str, str], sandbox: Sandbox, rules: Rules
) -> dict[str, list[dict[str, Any]]]:
    """EvalPlus's rows for each task, from one box. Raises Broken when it did not end well."""
    result = sandbox.run(_request(problems, solutions, rules))
    rows = _sound(result.files.get("results.json", b""), problems, solutions)
    if result.outcome != "passed" or rows is None:
        raise Broken(
            f"EvalPlus does not come to its end: {result.outcome}: {result.stderr.strip()[-1000:]}",
            hint="raise evaluation.scoring.limits in the config, or mend the environment",
        )
    # EvalPlus's own order is that in which the tasks happened to end.
    return {p["task_id"]: _finite(rows[p["task_id"]]) for p in problems}


def _result(problems: list[Problem], found: dict[str, Any]) -> dict[str, Any]:
    """As EvalPlus writes it, but for the date."""
    # EvalPlus names a problem file by its MD5 digest.
    name = hashlib.md5(lines_of(problems).encode(), usedforsecurity=False).hexdigest()
    return {"eval": found, "hash": name}


def has_plus(problems: list[Problem]) -> bool:
    return any(problem["plus_input"] for problem in problems)


def _request(problems: list[Problem], solutions: dict[str, str], rules: Rules) -> Request:
    dataset = dataset_of(problems)
    settings = {
        "dataset": dataset,
        "base_only": not has_plus(problems),
        "parallel": rules.parallel,
        "min_time_limit": rules.min_time_limit_seconds,
        "gt_time_limit_factor": rules.reference_factor,
        "memory_mib": rules.solution_memory_mib,
    }
    rows = [{"task_id": p["task_id"], "solution": solutions[p["task_id"]]} for p in problems]
    return Request(
        files={
            "run_evalplus.py": text_of(run_evalplus),
            "settings.json": json.dumps(settings),
            "problems.jsonl": lines_of(problems),
            "samples.jsonl": "".join(dump_line(row) + "\n" for row in rows),
        },
        command=("python", "run_evalplus.py"),
        limits=rules.limits,
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


def dataset_of(problems: list[Problem]) -> str:
    """EvalPlus's name for what these problems belong to."""
    prefixes = {problem["task_id"].partition("/")[0] for problem in problems}
    if len(prefixes) != 1 or not prefixes <= DATASETS.keys():
        raise UserError(
            f"not one benchmark that EvalPlus knows: task ids of {', '.join(sorted(prefixes))}",
            hint=f"use problems of one of {', '.join(DATASETS)}",
        )
    return DATASETS[prefixes.pop()]


def _sound(data: bytes, problems: list[Problem], solutions: dict[str, str]) -> Any:
    """Rows by task, if they are of exactly these tasks and solutions; else None."""
    try:
        rows = json.loads(data)["eval"]
        judged = {task: [row["solution"] for row in found] for task, found in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return rows if judged == {p["task_id"]: [solutions[p["task_id"]]] for p in problems} else None


def _failed(problem: Problem, solution: str) -> dict[str, Any]:
    """EvalPlus's row for a solution that broke its own evaluation."""
    return {
        "task_id": problem["task_id"],
        "solution": solution,
        "base_status": "fail",
        "plus_status": "fail" if problem["plus_input"] else None,
        "base_fail_tests": [],
        "plus_fail_tests": [],
    }


def _finite(value: Any) -> Any:
    """The same value with NaN and infinities as text: JSON has none."""
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def passed(result: dict[str, Any], plus: bool) -> list[str]:
    """Ids of the tasks that passed: on the base inputs, or on those and the further ones."""
    statuses = ("base_status", "plus_status") if plus else ("base_status",)
    return [t for t, (row,) in result["eval"].items() if all(row[s] == "pass" for s in statuses)]


def prove(
    problems: list[Problem], sandbox: Sandbox, rules: Rules, known: list[str], mark: Path
) -> dict[str, Any]:
    """Judge the canonical solutions as if they were a model's; all must pass, or be `known` not to.

    mark: a file that is left where all is as it must be, for those who score on this machine.
    -> {"tasks", "passed", "exceptions": [task id], "problems": digest, "evalplus": version}
    Raises UserError naming the others: scores would mean nothing on this machine.
    """
    solutions = {p["task_id"]: p["prompt"] + p["canonical_solution"] for p in problems}
    # Canonical solutions break nothing: if EvalPlus stops, it is the environment's fault.
    result = _result(problems, _run(problems, solutions, sandbox, rules))
    failed = sorted(set(solutions) - set(passed(result, has_plus(problems))))
    if wrong := [task for task in failed if task not in known]:
        raise UserError(
            f"canonical solutions that EvalPlus does not accept here: {', '.join(wrong)}",
            where=f"EvalPlus {version('evalplus')}, {len(problems)} tasks",
            hint="raise the time limits in evaluation.scoring, or, where the benchmark is known to"
            " be wrong, list the task in evaluation.benchmarks.<name>.known_exceptions",
        )
    write_text(mark, "")
    return {
        "tasks": len(problems),
        "passed": len(problems) - len(failed),
        "exceptions": failed,
        "problems": of_text(lines_of(problems)),
        "evalplus": version("evalplus"),
    }


def solutions_of(samples: list[Any], problems: list[Problem], where: str) -> dict[str, str]:
    """The one solution for each problem. Raises UserError for a task that is missing, unknown or
    answered twice, or a row that is no sample."""
    found: dict[str, str] = {}
    known = {problem["task_id"] for problem in problems}
    for number, row in enumerate(samples, 1):
        place = f"{where}, line {number}"
        task, solution = (
            (row.get(k) for k in ("task_id", "solution")) if isinstance(row, dict) else (None, None)
        )
        if not isinstance(task, str) or not isinstance(solution, str):
            raise UserError("not a sample: it needs task_id and solution", where=place)
        if task not in known:
            raise UserError(f"a sample for {task}, which the benchmark does not hold", where=place)
        if task in found:
            raise UserError(f"a second sample for {task}", where=place)
        found[task] = row["solution"]
    if missing := sorted(known - found.keys()):
        raise UserError(f"no sample for {', '.join(missing)}", where=where)
    return found


def score(
    problems: list[Problem], samples_path: Path, result: dict[str, Any], proof: dict[str, Any]
) -> dict[str, Any]:
    """What is reported of one model on one benchmark; `plus` is None without further inputs.

    A task whose canonical solution is not accepted counts as failed, whatever the model wrote.
    """
    plus = has_plus(problems)

    def correct(plus: bool) -> int:
        return len(set(passed(result, plus)) - set(proof["exceptions"]))

    return {
        "tasks": len(problems),
        "exceptions": proof["exceptions"],
        "base": share(correct(plus=False), len(problems)),
        "plus": share(correct(plus=True), len(problems)) if plus else None,
        "problems": proof["problems"],
        "samples": of_bytes(Path(samples_path).read_bytes()),
        "evalplus": proof["evalplus"],
    }


def check_proof(proof: Any, problems: list[Problem], where: str) -> None:
    """Raises UserError when the proof is not one, or is one of other problems."""
    if not isinstance(proof, dict) or proof.get("problems") != of_text(lines_of(problems)):
        raise UserError(
            "the proof is not one of these problems",
            where=where,
            hint="prove the benchmark again: scripts/prove_benchmark.py",
        )


class Benchmark:
    """A benchmark in EvalPlus's format: HumanEval(+), MBPP(+)."""

    class Config(Section):
        """A benchmark in the format of HumanEval or EvalPlus."""
