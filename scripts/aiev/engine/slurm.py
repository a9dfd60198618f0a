"""Corrects how Snakemake's Slurm executor (2.8.0) reads Slurm's answers.

Without this, a run on a cluster hangs without a message after a job that
  - was preempted: the executor expects Slurm to requeue it, which profiles/slurm forbids;
  - sacct calls "CANCELLED by 1000";
  - was seen and then forgotten by Slurm between two looks (MinJobAge, a controller without state);
  - ended while the controller could not say how long it remembers jobs.
Such a job counts as failed: it is submitted again, and restored if it had finished.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from aiev.core.log import log

VERSION = "2.8.0"
"""The one version whose functions are known to be called as the replacements expect."""

LIVING = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED"}
LIVING |= {"REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SIGNALING", "STAGE_OUT", "SPECIAL_EXIT"}
FORGOTTEN = "ERROR"
"""One of the states that end a job for the executor."""


def patch_executor(executor: ModuleType, version: str) -> None:
    """Replace two functions that the executor's module calls; warn if it is of another version.

    version: of the installed snakemake-executor-plugin-slurm.
    """
    if version != VERSION:
        log.warning(
            "snakemake-executor-plugin-slurm is %s, not %s: the run may wait without end for jobs "
            "that Slurm preempts or forgets",
            *(version, VERSION),
        )
        return
    executor.get_min_job_age = _remembered(executor.get_min_job_age)
    executor.query_job_status = _decided(executor.query_job_status)


def _remembered(ask: Callable[[], int | None]) -> Callable[[], int]:
    """Wrap the question how many seconds Slurm remembers ended jobs: the last answer is kept.

    The executor asks each time. If the controller does not answer, it asks sacct for the jobs
    instead, and without accounting never hears of them again. Slurm's default is 300.
    """
    known = [300]

    def age() -> int:
        found = ask()
        if found is not None:
            known[0] = found
        return known[0]

    return age


def _decided(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the query of job states, by job number: each becomes one on which the executor acts."""
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
        # Waiting jobs of an array share one number (7_[1-4]), which is gone once they start.
        alive.update(n for n, state in states.items() if n.isdecimal() and state in LIVING)
        alive.update(missed)
        return states | dict.fromkeys(forgotten, FORGOTTEN), seconds

    return query


def _word(state: str) -> str:
    word = state.split()[0] if state.strip() else state
    return "CANCELLED" if word == "PREEMPTED" else word
