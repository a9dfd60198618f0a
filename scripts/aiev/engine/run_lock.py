"""One run in a directory at a time, one writer of a file, and no stale lock after a kill.

Snakemake's own lock is a file that outlives a SIGKILL. The kernel's lock taken here does not: the
process that holds it knows that Snakemake's is stale. This module imports no Snakemake.

On a cluster the jobs of a run outlive it. Its name is in their environment, and that of the
directory's newest run in .aiev/run.json: a job that was still waiting in the queue when another run
began ends before it touches anything, and one that was at work then keeps its successor waiting.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiev.core.hashing import of_json
from aiev.core.locks import hold, try_lock
from aiev.core.log import log
from aiev.core.process import WORKFLOW, identity
from aiev.engine.run_record import RUN, Record, own_run, write_record

LOCK = Path(".aiev/lock")
WRITING = Path(".aiev/writing")
STOPPED = Path(".aiev/stopped")
LOOKING = (
    *("dryrun", "lint", "list_rules", "list_target_rules", "print_compilation", "containerize"),
    *("dag", "rulegraph", "filegraph", "d3dag", "unlock", "list_conda_envs", "list_untracked"),
    *("list_changes", "list_input_changes", "list_params_changes", "summary", "detailed_summary"),
)
"""Options of Snakemake, by their names in its parser, with which it makes and removes nothing. Not
those that touch, archive or delete outputs or metadata."""

_held = []


def only_looks(options: Mapping[str, Any]) -> bool:
    """Whether Snakemake was asked to make nothing.

    options: of the command line and the profiles, as Snakemake's own parser returns them.
    """
    report = options["report"] or options["reporter"]
    return (
        any(options[name] for name in LOOKING)
        or options["executor"] == "dryrun"
        or bool(report and not options["report_after_run"])
    )


def guard_directory(is_main: bool, looks: bool) -> None:
    """Make this process the directory's one run, unless it only looks.

    is_main: false in the processes that Snakemake starts for single jobs.
    Jobs started from here end with this process: its identity goes into their environment.
    Raises UserError when another run is active here, or a job's run is no longer the newest.
    """
    os.environ[WORKFLOW] = identity(os.getpid()) or ""
    if not is_main:
        own_run()
    if not is_main or _held or looks:
        return
    # Held until this process ends, however it ends.
    hint = "wait for it or stop it; a dry run (-n) works in the meantime"
    _held.append(hold(LOCK, "another run is active in this directory", hint))
    os.environ[RUN] = f"{socket.gethostname()}:{os.environ[WORKFLOW]}"
    # Jobs of an older run, still in a queue, are superseded from now on.
    write_record(Record(os.environ[RUN]))
    for stale in Path(".snakemake/locks").glob("*.lock"):
        stale.unlink(missing_ok=True)


@contextmanager
def only_writer(paths: Iterable[Path], every: float = 0.5) -> Iterator[None]:
    """Let no other process write the same files for the length of the block; wait until none does.

    It may be a job of a run that was killed, here or on another host of a cluster.
    """
    names = sorted(path.as_posix() for path in paths)
    lock = WRITING / of_json(names)[:32]
    lock.parent.mkdir(parents=True, exist_ok=True)
    warned = False
    while (descriptor := try_lock(lock)) is None:
        if not warned:
            log.warning("waiting: %s still writes %s", _writer(lock) or "another job", names[0])
        warned = True
        time.sleep(every)
    try:
        job = os.environ.get("SLURM_JOB_ID")
        own = (
            f"{f'Slurm job {job}, ' if job else ''}process {os.getpid()} on {socket.gethostname()}"
        )
        os.write(descriptor, own.encode())
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _writer(lock: Path) -> str:
    try:
        return lock.read_text("utf-8")
    except OSError:
        return ""


def jobs_at_work() -> bool:
    """Whether a job writes here, though perhaps of a run that is over, and on another host."""
    for lock in WRITING.glob("*"):
        descriptor = try_lock(lock)
        if descriptor is None:
            return True
        lock.unlink(missing_ok=True)
        os.close(descriptor)
    return False


def note_exit(code: int) -> None:
    """Leave a job's exit code to its run: Snakemake's own is 1, whatever a job ended with."""
    run = os.environ.get(RUN)
    # The mistake may be that the disk is full.
    with contextlib.suppress(OSError):
        if run:
            STOPPED.parent.mkdir(exist_ok=True)
            STOPPED.write_text(f"{run} {code}", "utf-8")


def noted_exit() -> int:
    """Exit code of a job of this run that a mistake ended; 1 where there is none."""
    run, _, code = STOPPED.read_text("utf-8").partition(" ") if STOPPED.exists() else ("", "", "")
    return int(code) if code and run == os.environ.get(RUN) else 1
