"""The eye on one running box: output, clock, memory, inodes, and the last word.

Used on the host by bubblewrap, and in a container by its worker, which has the standard library
only: nothing of the project is imported here when this runs.
"""

import os
import re
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aiev.sandbox.api import Limits

TICK = 0.025  # seconds between two looks; in that time a box may go past a summed limit
START_SECONDS = 60.0  # for the box to be made, on a machine that is busy with other things
PAGE = os.sysconf("SC_PAGESIZE")
MIB = 1 << 20
SHARED_MIB = 16  # /dev/shm, where multiprocessing keeps its semaphores
SPARE_PROCESSES = 8
INODES_PER_MIB = 256  # of disk: an empty file costs the kernel memory that no size limit counts
ALLOCATION_RAISED = re.compile(r"(?:\w+\.)*_?(?:Array)?MemoryError(?::|$)|OSError: \[Errno 12\]")
ALLOCATION_FAILED = re.compile(
    r"terminate called after throwing an instance of 'std::bad_alloc'"
    r"|OpenBLAS error: Memory allocation"
)


class Ending(NamedTuple):
    """How a program ended: "exit" or "signal", the code or number, and the CPU seconds it had."""

    word: str
    number: int
    spent: float


@dataclass
class Box:
    """A box from outside: where its processes are seen, how they end, and what came of it.

    root:  its root directory as it is seen from here; the box's own /proc lies in it.
    end:   ends every process in the box at once; may be called again.
    apart: processes of that /proc that are ours and count for nothing.
    stuck: whether the box can no longer come to its start, for who builds it is gone.
    gone:  a descriptor that can be read once the program has ended, where there is one.
    """

    root: str
    end: Callable[[], None]
    limits: "Limits"
    apart: frozenset[str] = frozenset()
    stuck: Callable[[], bool] = lambda: False
    gone: int | None = None
    started: float | None = None
    seconds: float = 0.0
    stopped: str | None = None  # the outcome, where it was we who ended it
    status: bytes = b""

    def kill(self, outcome: str | None = None) -> None:
        """End every process in the box."""
        if outcome and not self.stopped:
            self.stopped = outcome
        self.end()

    def report(self) -> "Ending | None":
        """What the status pipe says of the program's end, None where nothing sound.

        The program could write to this pipe too; it gains no more than by its exit code.
        """
        lines = self.status.decode("ascii", "replace").split("\n")[1:-1]
        found = re.fullmatch(r"(exit|signal) (\d{1,3}) (\d{1,9}(?:\.\d{1,9})?\d*)", "".join(lines))
        return Ending(found[1], int(found[2]), float(found[3])) if found else None


def follow(
    box: Box,
    readers: tuple[int, int, int],
    last_look: Callable[[], None] = lambda: None,
    caller: int | None = None,
) -> tuple[bytes, bytes]:
    """Read the pipes until the box is gone; stop it where it passes a limit.

    readers: the pipes from the box's stdout, its stderr and `inside.py`.
    last_look() is called once, when the program has ended and the box still stands.
    caller: a pipe that is silent for as long as somebody waits for the result.
    Returns what came from stdout and stderr, each at most `output_kib`.
    """
    stdout, stderr, status = readers
    most = box.limits.output_kib * 1024
    kept = {stdout: bytearray(), stderr: bytearray()}
    deadline = time.monotonic() + START_SECONDS
    tick = time.monotonic() + TICK
    unread = {stdout, stderr, status} if box.gone is None else {*readers, box.gone}
    with selectors.DefaultSelector() as pipes:
        for fd in unread if caller is None else {*unread, caller}:
            pipes.register(fd, selectors.EVENT_READ)
        while unread:
            now = time.monotonic()
            for key, _ in pipes.select(max(0.0, min(tick, deadline) - now)):
                if key.fd == caller:
                    pipes.unregister(caller)
                    box.kill("timed-out")
                    continue
                if key.fd == box.gone:
                    pipes.unregister(box.gone)
                    unread.discard(box.gone)
                    _note_end(box)
                    continue
                data = os.read(key.fd, 1 << 16)
                if not data:
                    pipes.unregister(key.fd)
                    unread.discard(key.fd)
                elif key.fd == status:
                    deadline = _take_status(box, data, deadline, last_look)
                else:
                    room = most - len(kept[key.fd])
                    kept[key.fd] += data[:room]
                    if len(data) > room:
                        box.kill("output-cut")
            now = time.monotonic()
            if now >= deadline:
                box.kill("timed-out")
                deadline = float("inf")
            if now >= tick:
                tick = now + TICK
                # A half-built box still has the host's /proc: its processes are not the box's.
                if box.started is not None:
                    look(box)
                elif box.stuck():
                    box.kill()
    _note_end(box)
    return bytes(kept[stdout]), bytes(kept[stderr])


def _take_status(box: Box, data: bytes, deadline: float, last_look: Callable) -> float:
    """Note a report; returns the deadline, which begins when the program does."""
    box.status += data[: 256 - len(box.status)]
    if box.started is None:
        box.started = time.monotonic()
        deadline = box.started + box.limits.wall_seconds
    if box.status.count(b"\n") > 1:
        if not box.seconds:
            _note_end(box)
            last_look()
        box.kill()
    return deadline


def _note_end(box: Box) -> None:
    if box.started is not None and not box.seconds:
        box.seconds = time.monotonic() - box.started


def look(box: Box) -> None:
    """Stop the box where all its processes together have too much memory, or its files too many
    inodes."""
    proc, disk = f"{box.root}/proc", box.limits.disk_mib
    try:
        names = [name for name in os.listdir(proc) if name.isdigit() and name not in box.apart]
        full = any(_full(f"{box.root}{folder}", disk) for folder in ("/box", "/tmp"))
        full = full or _full(f"{box.root}/dev/shm", SHARED_MIB)
    except OSError:  # it is gone
        return
    inside = [f"{proc}/{name}" for name in names]
    most = box.limits.memory_mib * MIB
    # Forked processes share pages, which the first sum counts for each: cheap, but only a hint.
    # The slack keeps one process under RLIMIT_DATA alone, which gives it a MemoryError.
    if sum(map(_resident, inside)) > most and sum(map(_memory, inside)) > most + 32 * MIB:
        box.kill("out-of-memory")
    if full:
        box.kill("out-of-memory")
    # The kernel's own limit refuses a fork long before; this one is for where it does not hold.
    if len(names) > box.limits.processes + SPARE_PROCESSES:
        box.kill("crashed")


def _full(folder: str, mib: int) -> bool:
    """Whether the file system there has more inodes in use than so many MiB allow."""
    about = os.statvfs(folder)
    return about.f_files - about.f_ffree > mib * INODES_PER_MIB


def _resident(process: str) -> int:
    """Bytes of all pages in memory, of files too."""
    fields = _read(f"{process}/statm").split()
    return int(fields[1]) * PAGE if fields else 0


def _memory(process: str) -> int:
    """Bytes of private and shared memory, a shared page divided among those who share it."""
    found = re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", _read(f"{process}/smaps_rollup"), re.M)
    return sum(map(int, found)) * 1024


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:  # the process ended meanwhile
        return ""


def judge(box: Box, stderr: str, ending: Ending | None) -> tuple[int | None, str]:
    """Exit code and outcome of a box that is gone."""
    if box.stopped:
        return None, box.stopped
    exit_code = ending.number if ending and ending.word == "exit" else None
    if exit_code == 0:
        return 0, "passed"
    if exit_code in (None, 1) and _allocation_failed(stderr):
        return exit_code, "out-of-memory"
    if exit_code is not None:
        return exit_code, "failed"
    killed_for_cpu = ending is not None and (
        ending.number == signal.SIGXCPU
        or (ending.number == signal.SIGKILL and out_of_time(ending.spent, box.limits))
    )
    return None, "timed-out" if killed_for_cpu else "crashed"


def _allocation_failed(stderr: str) -> bool:
    """Whether the last word is of a failed allocation: a library's, or the end of a traceback.

    What stands before was survived, and may be anything that the program says.
    """
    lines = [line for line in stderr.split("\n") if line.strip()]
    words = [at for at, line in enumerate(lines) if not line[0].isspace()]
    if not words:
        return False
    last = lines[words[-1]]
    traced = words[-1] > 0 and lines[words[-1] - 1][0].isspace()
    return bool(ALLOCATION_FAILED.match(last) or (traced and ALLOCATION_RAISED.match(last)))


def out_of_time(spent: float, limits: "Limits") -> bool:
    """Whether that many CPU seconds are the limit; the kernel counts in ticks for it."""
    return spent >= 0.8 * limits.cpu_seconds
