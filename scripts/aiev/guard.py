"""One run in a directory at a time, and no stale lock after a kill.

Snakemake's own lock is a file that outlives a SIGKILL. The kernel's lock taken here does not: who
holds it knows that Snakemake's is stale. It stands on the ground floor and imports no Snakemake.
"""

import fcntl
import os
import re
import sys
from pathlib import Path

from aiev.errors import UserError
from aiev.processes import WORKFLOW, identity

LOCK = Path(".aiev/lock")
LOOKS_ONLY = {"-n", "--dry-run", "--dryrun", "--lint", "--unlock", "--summary"}
LOOKS_ONLY |= {"--dag", "--rulegraph", "--filegraph", "--list-rules", "-l", "--report", "-h"}
_LOOKS_SHORT = re.compile(r"-[Ffkp]*n[Ffkpq]*")
"""Short options in one word, as in `-np`."""
_held = []


def guard_directory(is_main: bool) -> None:
    """Make this process the directory's one run, unless it only looks.

    is_main: false in the processes that Snakemake starts for single jobs.
    Jobs started from here end with this process: its identity goes into their environment.
    Raises UserError when another run lives here.
    """
    os.environ[WORKFLOW] = identity(os.getpid()) or ""
    looks = LOOKS_ONLY & set(sys.argv) or any(map(_LOOKS_SHORT.fullmatch, sys.argv))
    if not is_main or _held or looks:
        return
    LOCK.parent.mkdir(exist_ok=True)
    # Opened for ever: the lock is released when this process ends, however it ends.
    file = open(LOCK, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise UserError(
            f"another run works in this directory (process {file.read().strip() or 'unknown'})",
            where=str(LOCK),
            todo="wait for it or stop it; a dry run (-n) may look meanwhile",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)
    for stale in Path(".snakemake/locks").glob("*.lock"):
        stale.unlink(missing_ok=True)
