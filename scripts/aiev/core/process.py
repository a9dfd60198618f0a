"""Children die with their parent, and a job dies with the workflow that started it."""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

WORKFLOW = "AIEV_WORKFLOW"
"""Environment variable with `<pid>:<start time>` of the Snakemake process of this host."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For `Popen(preexec_fn=...)`: the kernel kills this child when the parent's thread ends.

    Start such a child from a thread that lives as long as the child should.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def identity(pid: int) -> str | None:
    """`<pid>:<start time in clock ticks>`, which no later process shares; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name is in parentheses and may hold spaces; field 22 is the start time.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{pid}:{fields[19]}"


def follow_workflow(every: float = 0.5) -> None:
    """End this process soon after its workflow is gone, even by SIGKILL.

    Snakemake's children outlive a SIGKILL; a job that went on would write beside its successor.
    """
    workflow = os.environ.get(WORKFLOW)
    if not workflow:
        return
    pid = int(workflow.partition(":")[0])

    def watch() -> None:
        while identity(pid) == workflow:
            time.sleep(every)
        os._exit(143)

    threading.Thread(target=watch, daemon=True, name="follow-workflow").start()


def raise_on_terminate() -> None:
    """Turn SIGTERM into SystemExit, so that `finally` blocks stop servers and sandboxes."""

    def stop(*_) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, stop)
