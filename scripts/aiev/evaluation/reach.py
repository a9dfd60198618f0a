"""How far answers get on the way to a pass: of a small model it is the first thing that moves."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiev.evaluation.benchmarks.base import Benchmark, Task, Verdict
from aiev.evaluation.stats import share


def reached(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    solutions: Mapping[str, str],
    verdicts: Mapping[str, Verdict],
) -> dict[str, Any]:
    """Shares of all tasks whose answer holds code, parses, and runs: {"code", "parses", "runs"}.

    parses: see `Benchmark.parses`; None where nothing tells. runs: every call of the benchmark's
    own tests returned, whatever it returned; None where that is not told from a wrong value.
    """
    ids = [task["task_id"] for task in tasks]
    code = [bool(solutions[task].strip()) for task in ids]
    parses = [
        held and benchmark.parses(solutions[task], verdicts[task])
        for task, held in zip(ids, code, strict=True)
    ]
    ran = [verdicts[task].ran for task in ids]
    runs = [
        None if each is None else each and whole is not False
        for whole, each in zip(parses, ran, strict=True)
    ]
    shares = {"code": code, "parses": parses, "runs": runs}
    return {
        name: None if None in each else share(sum(map(bool, each)), len(ids))
        for name, each in shares.items()
    }
