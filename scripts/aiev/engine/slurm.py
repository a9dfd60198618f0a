"""What Snakemake's Slurm executor (2.8.0) makes of Slurm's answers, mended where it waits for ever.

Without these, a run on a cluster hangs, with nothing said, after a job that
  - was preempted: the executor expects Slurm to requeue it, which profiles/slurm forbids;
  - sacct calls "CANCELLED by 1000";
  - was seen and then forgotten by Slurm between two looks (MinJobAge, a controller without state);
  - ended while the controller could not say how long it remembers jobs.
Such a job counts as failed: it is submitted again, and restored where it had come to its end.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

LIVING = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED"}
LIVING |= {"REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT"}
FORGOTTEN = "ERROR"
"""One of the states that the executor takes for the end of a job."""


def mend(executor: ModuleType) -> None:
    """Put our own functions in place of two that the executor's module calls."""
    executor.get_min_job_age = _remembered(executor.get_min_job_age)
    executor.query_job_status = _decided(executor.query_job_status)


def _remembered(ask: Callable[[], int | None]) -> Callable[[], int]:
    """How long Slurm knows of jobs that ended, seconds: as it once told, or its own default.

    The executor asks each time anew; where the controller is away in that moment it asks sacct for
    the jobs instead, and without accounting never hears of one again.
    """
    known = [300]

    def age() -> int:
        found = ask()
        if found is not None:
            known[0] = found
        return known[0]

    return age


def _decided(ask: Callable[..., Any]) -> Callable[..., Any]:
    """States of jobs by number, each one on which the executor acts; None where Slurm is silent."""
    alive: set[str] = set()
    missed: set[str] = set()  # once: an answer may lack a job for a moment

    async def query(command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        found, seconds = await ask(command, logger)
        if found is None:
            return found, seconds
        states = {number: _word(state) for number, state in found.items()}
        gone = alive - states.keys()
        forgotten = gone & missed
        missed.clear()
        missed.update(gone - forgotten)
        for number in sorted(forgotten):
            logger.warning(f"Slurm no longer knows job {number}: it counts as failed.")
        alive.clear()
        # Jobs that wait in an array have one number for all (7_[1-4]), which goes as they start.
        alive.update(n for n, state in states.items() if n.isdecimal() and state in LIVING)
        alive.update(missed)
        return states | dict.fromkeys(forgotten, FORGOTTEN), seconds

    return query


def _word(state: str) -> str:
    word = state.split()[0] if state.strip() else state
    return "CANCELLED" if word == "PREEMPTED" else word
