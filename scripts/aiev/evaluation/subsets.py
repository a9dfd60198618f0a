"""Which tasks of a benchmark a run scores: so many, or such a share, or those of some ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.core.settings import did_you_mean
from aiev.evaluation.benchmarks.base import Task
from aiev.evaluation.settings import SUBSETS

NAMED = dict(zip(("number", "share", "ids"), SUBSETS, strict=True))
"""Ways to choose, and the key of each in the config."""


def subset_of(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """The way that the config of a benchmark names, with its value: {"number": 20}, {"share": 0.1}
    or {"ids": [task id]}; {} for all tasks."""
    found = {name: benchmark[key] for name, key in NAMED.items()}
    return {name: value for name, value in found.items() if value is not None}


def size_of(subset: Mapping[str, Any], whole: int | None) -> int | None:
    """How many tasks a subset has; None where that is not known. whole: number of all tasks."""
    if "ids" in subset:
        return len(set(subset["ids"]))
    if "share" in subset:
        return None if whole is None else max(1, round(subset["share"] * whole))
    return subset.get("number", whole)


def choose(tasks: Sequence[Task], subset: Mapping[str, Any], name: str = "<name>") -> list[Task]:
    """The tasks of a subset as `subset_of` has it, in file order.

    By number or share those whose ids have the smallest digests: a larger subset contains every
    smaller one, and no end of the file is favoured. Raises UserError, with the key of the benchmark
    `name`, for an id that there is not, and when there are fewer tasks than the number.
    """
    where = f"config: evaluation.benchmarks.{name}.{NAMED[next(iter(subset), 'number')]}"
    known = [task["task_id"] for task in tasks]
    if "ids" in subset:
        if unknown := sorted(set(subset["ids"]) - set(known)):
            hint = did_you_mean(unknown[0], known, f"its tasks are named like {known[0]}")
            message = f"tasks that the benchmark does not contain: {', '.join(unknown)}"
            raise UserError(message, where=where, hint=hint)
        return [task for task in tasks if task["task_id"] in set(subset["ids"])]
    size = size_of(subset, len(tasks))
    if not 1 <= size <= len(tasks):
        raise UserError(
            f"a subset of {size} out of {len(tasks)} tasks",
            where=where,
            hint=f"use a number from 1 to {len(tasks)}, or null for all",
        )
    digests = {task_id: of_text(task_id) for task_id in known}
    chosen = set(sorted(digests.values())[:size])
    return [task for task in tasks if digests[task["task_id"]] in chosen]
