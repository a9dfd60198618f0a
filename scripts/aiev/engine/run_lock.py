"""One run in a directory at a time, one writer of a file, and no stale lock after a kill.

Snakemake's own lock is a file that outlives a SIGKILL. The kernel's lock taken here does not: who
holds it knows that Snakemake's is stale. It stands on the ground floor and imports no Snakemake.

On a cluster the jobs of a run outlive it. Its name is in their environment, and that of the
directory's newest run in a file: a job that was still waiting in the queue when another run began
ends before it touches anything, and one that was at work then keeps its successor waiting.
"""

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.hashing import of_json
from aiev.core.locks import hold, try_lock
from aiev.core.log import log
from aiev.core.process import WORKFLOW, identity

RUN = "AIEV_RUN"
"""Environment variable with the name of the run that a job belongs to, on whatever host it is."""

LOCK = Path(".aiev/lock")
NEWEST = Path(".aiev/run")
WRITING = Path(".aiev/writing")
STOPPED = Path(".aiev/stopped")
LOOKS_ONLY = {
    *("-n", "--dry-run", "--dryrun", "--lint", "--unlock", "-h", "--help", "-v", "--version"),
    *("--dag", "--d3dag", "--rulegraph", "--filegraph", "--report", "--print-compilation"),
    *("-S", "--summary", "-D", "--detailed-summary", "--containerize", "--export-cwl"),
    *("-l", "--list", "--list-rules", "--lt", "--list-target-rules", "--list-conda-envs"),
    *("--lc", "--list-changes", "--li", "--list-input-changes", "--lp", "--list-params-changes"),
    *("--lu", "--list-untracked"),
}  # fmt: skip
"""Options with which Snakemake 9.27 makes nothing and takes nothing away; not those that also run
(--report-after-run), nor those that touch, archive, or delete outputs or metadata."""
_LOOKS_SHORT = re.compile(r"-[Ffkp]*n[Ffkpq]*")
"""Short options in one word, as in `-np`."""
_held = []


def only_looks() -> bool:
    """Whether this process was asked to make nothing."""
    words = sys.argv[1:]
    options = {word.partition("=")[0] for word in words}  # also --report=report.html
    return bool(LOOKS_ONLY & options or any(map(_LOOKS_SHORT.fullmatch, words)))


def guard_directory(is_main: bool) -> None:
    """Make this process the directory's one run, unless it only looks.

    is_main: false in the processes that Snakemake starts for single jobs.
    Jobs started from here end with this process: its identity goes into their environment.
    Raises UserError when another run lives here, or a job's run is no longer the newest.
    """
    os.environ[WORKFLOW] = identity(os.getpid()) or ""
    if not is_main:
        _belong_to_newest()
    if not is_main or _held or only_looks():
        return
    # Held for ever: the lock is released when this process ends, however it ends.
    hint = "wait for it or stop it; a dry run (-n) may look meanwhile"
    _held.append(hold(LOCK, "another run works in this directory", hint))
    os.environ[RUN] = f"{socket.gethostname()}:{os.environ[WORKFLOW]}"
    NEWEST.write_text(os.environ[RUN], "utf-8")
    for stale in Path(".snakemake/locks").glob("*.lock"):
        stale.unlink(missing_ok=True)


def _belong_to_newest() -> None:
    own, newest = os.environ.get(RUN), NEWEST.read_text("utf-8") if NEWEST.exists() else ""
    if own and newest and own != newest:
        raise UserError(
            f"this job is of the run {own}, and another one has begun since",
            where=str(NEWEST),
            hint=f"nothing: the run {newest} does this job's work",
        )


@contextmanager
def only_writer(paths: Iterable[Path], every: float = 0.5) -> Iterator[None]:
    """Let no other process write the same files for the length of the block; wait until none does.

    It may be a job of a run that was killed, here or on another host of a cluster.
    """
    names = sorted(path.as_posix() for path in paths)
    lock = WRITING / of_json(names)[:32]
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while (descriptor := try_lock(lock)) is None:
        if not told:
            log.warning("waiting: %s still writes %s", _writer(lock) or "another job", names[0])
        told = True
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
