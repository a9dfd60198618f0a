"""Scores of samples, after the benchmark's own solutions have been scored on the same machine."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import mark_used, write_text
from aiev.core.hashing import of_text
from aiev.core.log import log
from aiev.evaluation.benchmarks.base import Benchmark, ScoringLimits, Task, Verdict
from aiev.evaluation.reach import reached
from aiev.evaluation.stats import pass_at_k, share
from aiev.sandbox.request import Sandbox


def host_facts(
    benchmark: Benchmark, environment: str, versions: Mapping[str, str]
) -> dict[str, str]:
    """Machine properties that can change verdicts: a validation holds for these alone.

    environment: digest of the installed packages. versions: those of the benchmark's compilers.
    """
    return {
        "environment": environment,
        "evaluator": benchmark.evaluator,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **versions,
    }


def validate_canonical(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    sandbox: Sandbox,
    limits: ScoringLimits,
    known_exceptions: Sequence[str],
) -> dict[str, Any]:
    """Judge the canonical solutions as if a model had written them: <name>.validation.json.

    All must pass, but for `known_exceptions`; a benchmark without any looks after its toolchain.
    -> {"tasks", "passed", "exceptions": [task id], "problems": digest of the tasks, "evaluator"}.
    Raises UserError naming the others: scores would mean nothing on this machine; EvaluatorCrashed
    when nothing could be judged.
    """
    judged = tasks if benchmark.has_canonical else []
    solutions = {task["task_id"]: benchmark.canonical(task) for task in judged}
    verdicts = benchmark.judge(judged, solutions, sandbox, limits)
    failed = [t for t, verdict in verdicts.items() if not passed(verdict, benchmark, tasks)]
    if wrong := sorted(set(failed) - set(known_exceptions)):
        outcomes = ", ".join(f"{task} ({verdicts[task].outcome})" for task in wrong)
        raise UserError(
            f"canonical solutions that do not pass on this machine: {outcomes}",
            where=f"{benchmark.name}: {len(tasks)} tasks, {benchmark.evaluator}",
            hint="raise the limits in the config's evaluation.scoring; where the benchmark is "
            "known to be wrong, list the task in a run's config "
            f"(evaluation.benchmarks.{benchmark.name}.known_exceptions), or give it to aiev score "
            "with --known-exception",
        )
    return {
        "tasks": len(tasks),
        "passed": len(judged) - len(failed),
        "exceptions": sorted(failed),
        "problems": of_text(benchmark.dump(tasks)),
        "evaluator": benchmark.evaluator,
    }


def check_validation(
    validation: Any, benchmark: Benchmark, tasks: Sequence[Task], where: str
) -> None:
    """Raise UserError when `validation` is none, or one of other tasks."""
    digest = of_text(benchmark.dump(tasks))
    if not isinstance(validation, dict) or validation.get("problems") != digest:
        raise UserError(
            "this validation file is for other tasks",
            where=where,
            hint="remove the file and run again, which validates the benchmark again",
        )


def validate_here(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    sandbox: Sandbox,
    limits: ScoringLimits,
    known_exceptions: Sequence[str],
    marker: Path,
    facts: Mapping[str, str],
) -> None:
    """Validate the benchmark unless `marker` says that it was, on this machine as it is now."""
    if marker.exists():
        mark_used(marker)
        return
    log.info("validating %s on this machine", benchmark.name)
    validate_canonical(benchmark, tasks, sandbox, limits, known_exceptions)
    mark_host(marker, facts)


def mark_host(marker: Path, facts: Mapping[str, str]) -> None:
    """Record that a benchmark was validated on this machine; marker: a file named by `facts`."""
    write_text(marker, json.dumps(dict(facts), sort_keys=True) + "\n")


def passed(verdict: Verdict, benchmark: Benchmark, tasks: Sequence[Task]) -> bool:
    """Whether all tests passed that there are."""
    return _passed_plus(verdict) if benchmark.has_plus(tasks) else verdict.base


def _passed_plus(verdict: Verdict) -> bool:
    """A task without further tests passes them by passing its own."""
    return verdict.base if verdict.plus is None else verdict.plus


def results(
    benchmark: Benchmark, tasks: Sequence[Task], verdicts: Mapping[str, Verdict]
) -> dict[str, Any]:
    """eval_results.json, as EvalPlus lays it out but for the date: {"eval": {task id: [row]},
    "hash"}. Each row has base_status and plus_status, and what else the benchmark's kind adds."""
    rows = {task: [_row(task, verdict)] for task, verdict in verdicts.items()}
    # EvalPlus names a problem file by its MD5 digest.
    name = hashlib.md5(benchmark.dump(tasks).encode(), usedforsecurity=False).hexdigest()
    return {"eval": rows, "hash": name}


def _row(task_id: str, verdict: Verdict) -> dict[str, Any]:
    words = {True: "pass", False: "fail", None: None}
    own = {
        "task_id": task_id,
        "base_status": words[verdict.base],
        "plus_status": words[verdict.plus],
        "outcome": verdict.outcome,
    }
    return {**own, **verdict.row}


def score(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    verdicts: Mapping[str, Verdict],
    validation: Mapping[str, Any],
    samples_sha256: str,
) -> dict[str, Any]:
    """score.json of one model on one benchmark; `plus` is None without further tests.

    A task whose canonical solution does not pass counts as failed, whatever the model wrote. Those
    that the benchmark leaves out are no tasks of it; `left_out` has their number by reason.
    """
    counted = {t: v for t, v in verdicts.items() if t not in validation["exceptions"]}
    description = benchmark.describe(tasks)
    solved = sorted(t for t, verdict in counted.items() if verdict.base)
    solved_plus = sorted(t for t, verdict in counted.items() if _passed_plus(verdict))
    plus = benchmark.has_plus(tasks)
    return {
        "benchmark": benchmark.name,
        "title": description.title,
        "size": description.size,
        "paper": {title: list(figures) for title, figures in description.paper.items()},
        "tasks": len(tasks),
        "exceptions": validation["exceptions"],
        "left_out": dict(sorted(Counter(benchmark.left_out.values()).items())),
        "base": share(len(solved), len(tasks)),
        "plus": share(len(solved_plus), len(tasks)) if plus else None,
        "solved": {"base": solved, "plus": solved_plus if plus else None},
        "problems": validation["problems"],
        "samples": samples_sha256,
        "evaluator": validation["evaluator"],
    }


def score_samples(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    samples: Mapping[str, Sequence[str]],
    sandbox: Sandbox,
    limits: ScoringLimits,
    validation: Mapping[str, Any],
    samples_sha256: str,
) -> tuple[dict[str, Any], list[dict[str, Verdict]]]:
    """score.json of samples, equally many for each task, and the verdicts of each round of them.

    With more than one a task, `base` and `plus` count the first of each, and `pass_at_k` has the
    unbiased estimate for 1, 10 and 100, as far as there are so many.
    """
    number = len(next(iter(samples.values())))
    rounds = []
    for place in range(number):
        solutions = {task: each[place] for task, each in samples.items()}
        rounds.append(benchmark.judge(tasks, solutions, sandbox, limits))
    found = score(benchmark, tasks, rounds[0], validation, samples_sha256)
    first = {task: each[0] for task, each in samples.items()}
    found["reached"] = reached(benchmark, tasks, first, rounds[0])
    found["versions"] = dict(benchmark.versions(sandbox))
    if number > 1:
        found["pass_at_k"] = _pass_at_k(benchmark, tasks, rounds, validation["exceptions"])
    return found, rounds


def _pass_at_k(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    rounds: Sequence[Mapping[str, Verdict]],
    exceptions: Sequence[str],
) -> dict[str, dict[str, float]]:
    tests = {"base": lambda verdict: verdict.base}
    tests |= {"plus": _passed_plus} if benchmark.has_plus(tasks) else {}
    found: dict[str, dict[str, float]] = {}
    for name, right in tests.items():
        correct = [
            0 if t["task_id"] in exceptions else sum(right(r[t["task_id"]]) for r in rounds)
            for t in tasks
        ]
        found[name] = {
            f"pass@{k}": round(mean(pass_at_k(len(rounds), each, k) for each in correct), 6)
            for k in (1, 10, 100)
            if k <= len(rounds)
        }
    return found
