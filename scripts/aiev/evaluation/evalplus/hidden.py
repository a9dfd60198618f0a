"""The hidden tests of an audit: a benchmark's, for one solution at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from aiev.evaluation.benchmarks.base import ScoringLimits, Task
from aiev.evaluation.evalplus.judge import judge
from aiev.evaluation.evalplus.problems import UNPASSABLE
from aiev.sandbox.request import Sandbox


def passable(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that a solution can pass: of the others no verdict could be right."""
    return [task for task in tasks if task["task_id"] not in UNPASSABLE]


def hidden_tests(
    tasks: Sequence[Task], sandbox: Sandbox, limits: ScoringLimits
) -> Callable[[str, str], bool]:
    """A function of a task's id and a solution: whether it passes all tests, further ones too.

    It may be called from any thread, and raises EvaluatorCrashed as `judge` does.
    """
    by_id = {task["task_id"]: task for task in tasks}
    alone = replace(limits, parallel=1)

    def is_right(task_id: str, solution: str) -> bool:
        if not solution.strip():
            return False
        verdict = judge([by_id[task_id]], {task_id: solution}, sandbox, alone)[task_id]
        return verdict.base if verdict.plus is None else verdict.plus

    return is_right
