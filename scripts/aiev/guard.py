"""One run in a directory at a time, and no stale lock after a kill.

Snakemake's own lock is a file that outlives a SIGKILL. The kernel's lock taken here does not: who
holds it knows that Snakemake's is stale. It stands on the ground floor and imports no Snakemake.
"""

import fcntl
import os
import re
import sys
from pathlib import Path
from typing import IO

from aiev.errors import UserError
from aiev.processes import WORKFLOW, identity

LOCK = Path(".aiev/lock")
STOPPED = Path(".aiev/stopped")
LOOKS_ONLY = {"-n", "--dry-run", "--dryrun", "--lint", "--unlock", "--summary"}
LOOKS_ONLY |= {"--dag", "--rulegraph", "--filegraph", "--list-rules", "-l", "--report", "-h"}
_LOOKS_SHORT = re.compile(r"-[Ffkp]*n[Ffkpq]*")
"""Short options in one word, as in `-np`."""
_held = []


def only_looks() -> bool:
    """Whether this process was asked to make nothing."""
    return bool(LOOKS_ONLY & set(sys.argv) or any(map(_LOOKS_SHORT.fullmatch, sys.argv)))


def guard_directory(is_main: bool) -> None:
    """Make this process the directory's one run, unless it only looks.

    is_main: false in the processes that Snakemake starts for single jobs.
    Jobs started from here end with this process: its identity goes into their environment.
    Raises UserError when another run lives here.
    """
    os.environ[WORKFLOW] = identity(os.getpid()) or ""
    if not is_main or _held or only_looks():
        return
    # Held for ever: the lock is released when this process ends, however it ends.
    todo = "wait for it or stop it; a dry run (-n) may look meanwhile"
    _held.append(hold(LOCK, "another run works in this directory", todo))
    for stale in Path(".snakemake/locks").glob("*.lock"):
        stale.unlink(missing_ok=True)


def hold(lock: Path, taken: str, todo: str = "wait for it or stop it") -> IO[str]:
    """Take the kernel's lock on a file; it is held until the result is closed.

    Raises UserError, which says `taken` and by which process, when another one has it.
    """
    lock.parent.mkdir(exist_ok=True)
    file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise UserError(f"{taken} (process {holder})", where=str(lock), todo=todo) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def note_exit(code: int) -> None:
    """Leave a job's exit code to its run: Snakemake's own is 1, whatever a job ended with."""
    run = os.environ.get(WORKFLOW)
    if run:
        STOPPED.parent.mkdir(exist_ok=True)
        STOPPED.write_text(f"{run} {code}", "utf-8")


def noted_exit() -> int:
    """Exit code of a job of this run that a mistake ended; 1 where there is none."""
    run, _, code = STOPPED.read_text("utf-8").partition(" ") if STOPPED.exists() else ("", "", "")
    return int(code) if code and run == os.environ.get(WORKFLOW) else 1
