"""Find the solution that ends its own evaluator, and tell it from an evaluator that is broken."""

from collections.abc import Callable, Mapping, Sequence

from aiev.core.log import log
from aiev.evaluation.benchmarks.base import EvaluatorCrashed, Task, Verdict

Run = Callable[[Sequence[Task], Mapping[str, str]], dict[str, Verdict]]
"""Tasks, and solutions by task id -> verdicts by task id. Raises EvaluatorCrashed."""


def judge_in_halves(
    tasks: Sequence[Task],
    solutions: Mapping[str, str],
    run: Run,
    canonical: Callable[[Task], str],
    crashed: Callable[[Task, str], Verdict],
) -> dict[str, Verdict]:
    """Judge all solutions in one run, and in halves where a run crashes, down to the one to blame.

    canonical: a solution of a task that is known to leave the evaluator whole. It is run where a
    single solution crashes the evaluator: only if that passes through, the solution is to blame,
    and has the verdict `crashed(task, solution)`. Otherwise the evaluator cannot run here, for
    want of memory, disk or a package, and its EvaluatorCrashed is raised: no score may rest on it.
    """
    try:
        return run(tasks, solutions)
    except EvaluatorCrashed as error:
        log.info("the evaluator crashed on %s: %s", ", ".join(t["task_id"] for t in tasks), error)
        if len(tasks) == 1:
            (task,) = tasks
            run(tasks, {task["task_id"]: canonical(task)})
            return {task["task_id"]: crashed(task, solutions[task["task_id"]])}
    half = len(tasks) // 2
    first = judge_in_halves(tasks[:half], solutions, run, canonical, crashed)
    return first | judge_in_halves(tasks[half:], solutions, run, canonical, crashed)
