"""A child process with all that it starts: ended together, whatever happens to this process.

`PR_SET_PDEATHSIG` and `Popen.kill` reach one process only. A model server starts workers of its own
(vLLM's EngineCore and one worker a GPU), which outlive it and keep the GPUs' memory
(vllm-project/vllm issue 55510). So a server gets a session of its own, which is a process group,
and the group is signalled; and a watcher kills the group when this process dies without a word.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiev.core.process import die_with_parent

TERM_SECONDS = 10.0
"""Time for a server to end by itself after SIGTERM."""
KILL_SECONDS = 30.0
"""Time for the kernel to end processes after SIGKILL: it frees the memory of a large model."""

# stdin is a pipe whose other end this process holds: end of file means that it is gone.
_WATCHER = """
import os, signal, sys
sys.stdin.buffer.read()
try:
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
except ProcessLookupError:
    pass
"""


class ProcessGroup:
    """A command that runs in a process group of its own, with a watcher that outlives this process.

    options: of `subprocess.Popen`.
    """

    def __init__(self, command: Sequence[str], **options: Any):
        self.leader = subprocess.Popen(
            command, start_new_session=True, preexec_fn=die_with_parent, **options
        )
        self._watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHER, str(self.leader.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self, term_seconds: float = TERM_SECONDS) -> bool:
        """End all processes of the group and wait until they are gone, with the memory they held.

        SIGTERM first, SIGKILL after `term_seconds`. False when some are still there after
        `KILL_SECONDS`.
        """
        pids = _family(self.leader.pid)
        _signal(pids, signal.SIGTERM)
        gone = self._wait(pids, term_seconds)
        if not gone:
            pids |= _family(self.leader.pid)
            _signal(pids, signal.SIGKILL)
            gone = self._wait(pids, KILL_SECONDS)
        # The watcher last, and before its pipe closes: a reused process id is not signalled.
        self._watcher.kill()
        self._watcher.wait()
        self._watcher.stdin.close()
        return gone

    def _wait(self, pids: dict[int, str], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            gone = not any(_start_time(pid) == start for pid, start in pids.items())
            # A child of ours stays a zombie until it is reaped.
            if self.leader.poll() is not None and gone:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)


def _family(leader: int) -> dict[int, str]:
    """Living processes of the leader's group and session, and its descendants, with their start
    times: a process id may be used again."""
    found = {int(entry.name): _stat(entry.name) for entry in Path("/proc").glob("[0-9]*")}
    alive = {pid: fields for pid, fields in found.items() if fields}
    family = {
        pid for pid, (_, group, session, _) in alive.items() if str(leader) in (group, session)
    }
    family |= {leader} & alive.keys()
    while True:
        children = {pid for pid, fields in alive.items() if int(fields[0]) in family} - family
        if not children:
            return {pid: alive[pid][-1] for pid in family}
        family |= children


def _stat(pid: int | str) -> tuple[str, str, str, str] | None:
    """Parent, process group, session and start time of a process; None when it has ended.

    A process whose main thread has ended is a zombie for as long as another thread runs, and holds
    its memory until then.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # The command name is in parentheses and may hold spaces.
        fields = stat.rpartition(")")[2].split()
        if fields[0] == "X" or (fields[0] == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1):
            return None
    except OSError:
        return None
    return fields[1], fields[2], fields[3], fields[19]


def _start_time(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[-1] if fields else None


def _signal(pids: dict[int, str], number: int) -> None:
    for pid, start in pids.items():
        if _start_time(pid) == start:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
