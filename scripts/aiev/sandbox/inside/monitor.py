"""Monitor of one sandbox: output, clock, memory, inodes, and how the program ended.

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

from aiev.sandbox.inside.usage import MIB, full, over_mappings, over_memory, sockets_over

if TYPE_CHECKING:
    from aiev.sandbox.api import Limits

TICK = 0.025  # seconds between two checks; in that time a box may go past a summed limit
THOROUGH_EVERY = 20  # checks, of which one looks at what takes longer to read
START_SECONDS = 60.0  # for the box to be made, on a machine that is busy with other things
SHARED_MIB = 16  # /dev/shm, where multiprocessing keeps its semaphores
SPARE_PROCESSES = 8
ALLOCATION_RAISED = re.compile(r"(?:\w+\.)*_?(?:Array)?MemoryError(?::|$)|OSError: \[Errno 12\]")
ALLOCATION_FAILED = re.compile(
    r"terminate called after throwing an instance of 'std::bad_alloc'"
    r"|OpenBLAS error: Memory allocation"
)


class Ending(NamedTuple):
    """How a program ended. kind: "exit" or "signal"; number: the exit code or the signal;
    cpu_seconds: CPU time that it used."""

    kind: str
    number: int
    cpu_seconds: float


@dataclass
class Box:
    """A running sandbox, seen from outside.

    root:         its root directory as it is seen from here; the box's own /proc lies in it.
    net:          folder of /proc about its network.
    end:          ends every process in the box at once; may be called again.
    limits:       what the program may use.
    ignored_pids: processes of that /proc that are ours and do not count.
    builder_died: whether the process that builds the box is gone, so that it can never start.
    begin:        called once, when the program has started.
    exit_fd:      a descriptor that becomes readable when the program has ended, if there is one.
    started:      monotonic time of the program's start, None before it.
    seconds:      wall time from the program's start to its end.
    stopped:      the outcome, where we ended the program.
    status:       what came through the status pipe.
    """

    root: str
    end: Callable[[], None]
    limits: "Limits"
    ignored_pids: frozenset[str] = frozenset()
    net: str = "/proc/self/net"
    builder_died: Callable[[], bool] = lambda: False
    begin: Callable[[], None] = lambda: None
    exit_fd: int | None = None
    started: float | None = None
    seconds: float = 0.0
    stopped: str | None = None
    status: bytes = b""

    def kill(self, outcome: str | None = None) -> None:
        """End every process in the box; the first outcome given counts."""
        if outcome and not self.stopped:
            self.stopped = outcome
        self.end()

    def note_end(self) -> None:
        """Take the time of the program's end, the first time."""
        if self.started is not None and not self.seconds:
            self.seconds = time.monotonic() - self.started

    def ending(self) -> Ending | None:
        """How the program ended, by the status pipe; None without a well-formed report.

        The program could write to this pipe too; it gains no more than by its exit code.
        """
        lines = self.status.decode("ascii", "replace").split("\n")[1:-1]
        found = re.fullmatch(r"(exit|signal) (\d{1,3}) (\d{1,9}(?:\.\d{1,9})?\d*)", "".join(lines))
        return Ending(found[1], int(found[2]), float(found[3])) if found else None


def monitor_loop(
    box: Box,
    readers: tuple[int, int, int],
    before_removal: Callable[[], None] = lambda: None,
    caller: int | None = None,
) -> tuple[bytes, bytes]:
    """Read the pipes until the box is gone; stop it where it passes a limit.

    readers: the pipes from the box's stdout, its stderr and the status pipe.
    before_removal() is called once, when the program has ended and the box still exists.
    caller: a pipe that is silent for as long as somebody waits for the result.
    Returns what came from stdout and stderr, each at most `output_kib`.
    """
    return _Loop(box, readers, before_removal, caller).run()


class _Loop:
    """State of `monitor_loop`. deadline: for the box to start, and then for the program to end."""

    def __init__(self, box: Box, readers, before_removal, caller: int | None):
        self.box, self.before_removal, self.caller = box, before_removal, caller
        self.stdout, self.stderr, self.status = readers
        self.output = {self.stdout: bytearray(), self.stderr: bytearray()}
        self.unread = {*readers} | ({box.exit_fd} - {None})
        self.deadline = time.monotonic() + START_SECONDS
        self.checks = 0

    def run(self) -> tuple[bytes, bytes]:
        tick = time.monotonic() + TICK
        with selectors.DefaultSelector() as self.pipes:
            for fd in self.unread | ({self.caller} - {None}):
                self.pipes.register(fd, selectors.EVENT_READ)
            while self.unread:
                wait = min(tick, self.deadline) - time.monotonic()
                for key, _ in self.pipes.select(max(0.0, wait)):
                    self._read(key.fd)
                now = time.monotonic()
                if now >= self.deadline:
                    self.box.kill("timed-out")
                    self.deadline = float("inf")
                if now >= tick:
                    tick = now + TICK
                    self._check()
        self.box.note_end()
        return bytes(self.output[self.stdout]), bytes(self.output[self.stderr])

    def _read(self, fd: int) -> None:
        if fd == self.caller:  # nobody waits for the result any more
            self.pipes.unregister(fd)
            self.box.kill("timed-out")
        elif fd == self.box.exit_fd:
            self._done(fd)
            self.box.note_end()
        elif not (data := os.read(fd, 1 << 16)):
            self._done(fd)
        elif fd == self.status:
            self._take_status(data)
        else:
            room = self.box.limits.output_kib * 1024 - len(self.output[fd])
            self.output[fd] += data[:room]
            if len(data) > room:
                self.box.kill("output-cut")

    def _done(self, fd: int) -> None:
        self.pipes.unregister(fd)
        self.unread.discard(fd)

    def _take_status(self, data: bytes) -> None:
        """Note a report: the first is of the program's start, the second of its end."""
        box = self.box
        box.status += data[: 256 - len(box.status)]
        if box.started is None:
            box.started = time.monotonic()
            self.deadline = box.started + box.limits.wall_seconds
            box.begin()
        if box.status.count(b"\n") > 1:
            if not box.seconds:
                box.note_end()
                self.before_removal()
            box.kill()

    def _check(self) -> None:
        # A half-built box still has the host's /proc: its processes are not the box's.
        if self.box.started is not None:
            self.checks += 1
            check_limits(self.box, self.checks % THOROUGH_EVERY == 0)
        elif self.box.builder_died():
            self.box.kill()


def check_limits(box: Box, thorough: bool = False) -> None:
    """Stop the box where all its processes together use too much memory, its sockets may, or its
    files too many inodes. thorough: look at the processes' mappings too."""
    proc, disk = f"{box.root}/proc", box.limits.disk_mib
    try:
        pids = [name for name in os.listdir(proc) if name.isdigit()]
        pids = [pid for pid in pids if pid not in box.ignored_pids]
        over = any(full(f"{box.root}{folder}", disk) for folder in ("/box", "/tmp"))
        over = over or full(f"{box.root}/dev/shm", SHARED_MIB)
    except OSError:  # the box is gone
        return
    limit = box.limits.memory_mib * MIB
    processes = [f"{proc}/{pid}" for pid in pids]
    over = over or over_memory(processes, box.limits)
    over = over or (thorough and over_mappings(processes))
    if over or sockets_over(box.net, limit):
        box.kill("out-of-memory")
    # The kernel's own limit refuses a fork long before; this one is for where it does not hold.
    if len(pids) > box.limits.processes + SPARE_PROCESSES:
        box.kill("crashed")


def classify_outcome(box: Box, stderr: str, ending: Ending | None) -> tuple[int | None, str]:
    """Exit code and outcome of a program that has ended; see `aiev.sandbox.api.Result`."""
    if box.stopped:
        return None, box.stopped
    exit_code = ending.number if ending and ending.kind == "exit" else None
    if exit_code == 0:
        return 0, "passed"
    if exit_code in (None, 1) and _allocation_failed(stderr):
        return exit_code, "out-of-memory"
    if exit_code is not None:
        return exit_code, "failed"
    killed_for_cpu = ending is not None and (
        ending.number == signal.SIGXCPU
        or (ending.number == signal.SIGKILL and out_of_cpu_time(ending.cpu_seconds, box.limits))
    )
    return None, "timed-out" if killed_for_cpu else "crashed"


def _allocation_failed(stderr: str) -> bool:
    """Whether stderr ends with a failed allocation: a library's message, or that of a traceback.

    Earlier output does not count: the program survived it, and may print anything.
    """
    lines = [line for line in stderr.split("\n") if line.strip()]
    words = [at for at, line in enumerate(lines) if not line[0].isspace()]
    if not words:
        return False
    last = lines[words[-1]]
    traced = words[-1] > 0 and lines[words[-1] - 1][0].isspace()
    return bool(ALLOCATION_FAILED.match(last) or (traced and ALLOCATION_RAISED.match(last)))


def out_of_cpu_time(cpu_seconds: float, limits: "Limits") -> bool:
    """Whether that many CPU seconds reach the limit, which the kernel counts in ticks."""
    return cpu_seconds >= 0.8 * limits.cpu_seconds
