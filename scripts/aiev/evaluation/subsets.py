"""Which tasks of a benchmark a run scores."""

from collections.abc import Sequence

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.evaluation.benchmarks.base import Task


def choose(tasks: Sequence[Task], size: int | None) -> list[Task]:
    """The `size` tasks whose ids have the smallest digests, in file order; all when None.

    A larger subset contains every smaller one, and no end of the file is favoured.
    Raises UserError when there are fewer than `size`.
    """
    if size is None:
        return list(tasks)
    if not 1 <= size <= len(tasks):
        raise UserError(
            f"a subset of {size} out of {len(tasks)} tasks",
            where="config: evaluation.benchmarks.<name>.subset",
            hint=f"use a number from 1 to {len(tasks)}, or null for all",
        )
    digests = {task["task_id"]: of_text(task["task_id"]) for task in tasks}
    chosen = set(sorted(digests.values())[:size])
    return [task for task in tasks if digests[task["task_id"]] in chosen]
