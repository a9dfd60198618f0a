"""The host's eye on one running box: output, clock, memory, and the last word."""

import os
import re
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiev.sandbox import Limits

TICK = 0.025  # seconds between two looks; in that time a box may go past a summed limit
START_SECONDS = 60.0  # for the box to be made, on a machine that is busy with other things
PAGE = os.sysconf("SC_PAGESIZE")
MIB = 1 << 20
ALLOCATION_FAILED = re.compile(
    r"^(?:(?:\w+\.)*_?(?:Array)?MemoryError\b|OSError: \[Errno 12\]"
    r"|terminate called after throwing an instance of 'std::bad_alloc'"
    r"|OpenBLAS error: Memory allocation)",
    re.MULTILINE,
)


@dataclass
class Box:
    """A box from outside: its first process, its pipes, and what came out of them."""

    init: int  # process id on the host of the box's process 1
    pidfd: int
    limits: Limits
    started: float | None = None
    seconds: float = 0.0
    stopped: str | None = None  # the outcome, where it was we who ended it
    status: bytes = b""

    def kill(self, outcome: str | None = None) -> None:
        """End every process in the box: the kernel does so when its process 1 dies."""
        if outcome and not self.stopped:
            self.stopped = outcome
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            return

    def read_status(self) -> list[str]:
        """The last report as words (`exit 0 0.01`), none where there is no sound one.

        The program could write to this pipe too; it gains no more than by its exit code.
        """
        lines = self.status.decode("ascii", "replace").split("\n")[1:-1]
        found = re.fullmatch(r"(exit|signal) (\d{1,3}) (\d{1,9}(?:\.\d{1,9})?\d*)", "".join(lines))
        return list(found.groups()) if found else []


def follow(
    box: Box, readers: tuple[int, int, int], last_look: Callable[[], None]
) -> tuple[bytes, bytes]:
    """Read the pipes until the box is gone; stop it where it passes a limit.

    readers: the pipes from the box's stdout, its stderr and `inside.py`.
    last_look() is called once, when the program has ended and the box still stands.
    Returns what came from stdout and stderr, each at most `output_kib`.
    """
    stdout, stderr, status = readers
    most = box.limits.output_kib * 1024
    kept = {stdout: bytearray(), stderr: bytearray()}
    deadline = time.monotonic() + START_SECONDS
    tick = time.monotonic() + TICK
    with selectors.DefaultSelector() as pipes:
        for fd in (stdout, stderr, status):
            pipes.register(fd, selectors.EVENT_READ)
        while pipes.get_map():
            now = time.monotonic()
            for key, _ in pipes.select(max(0.0, min(tick, deadline) - now)):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    pipes.unregister(key.fd)
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
                look(box)
    if box.started is not None and not box.seconds:
        box.seconds = time.monotonic() - box.started
    return bytes(kept[stdout]), bytes(kept[stderr])


def _take_status(box: Box, data: bytes, deadline: float, last_look: Callable) -> float:
    """Note a report; returns the deadline, which begins when the program does."""
    box.status += data[: 256 - len(box.status)]
    now = time.monotonic()
    if box.started is None:
        box.started, deadline = now, now + box.limits.wall_seconds
    if box.status.count(b"\n") > 1:
        if not box.seconds:
            box.seconds = now - box.started
            last_look()
        box.kill()
    return deadline


def look(box: Box) -> None:
    """Stop the box where all its processes together have too much memory."""
    proc = f"/proc/{box.init}/root/proc"
    try:
        inside = [f"{proc}/{name}" for name in os.listdir(proc) if name.isdigit()]
    except OSError:  # it is gone
        return
    most = box.limits.memory_mib * MIB
    # Forked processes share pages, which the first sum counts for each: cheap, but only a hint.
    # The slack keeps one process under RLIMIT_DATA alone, which gives it a MemoryError.
    if sum(map(_resident, inside)) > most and sum(map(_memory, inside)) > most + 32 * MIB:
        box.kill("out-of-memory")


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


def judge(box: Box, stderr: str) -> tuple[int | None, str]:
    """Exit code and outcome of a box that is gone."""
    if box.stopped:
        return None, box.stopped
    report = box.read_status()
    exit_code = int(report[1]) if report and report[0] == "exit" else None
    if exit_code == 0:
        return 0, "passed"
    if ALLOCATION_FAILED.search(stderr):
        return exit_code, "out-of-memory"
    if exit_code is not None:
        return exit_code, "failed"
    number, spent = (int(report[1]), float(report[2])) if report else (0, 0.0)
    # The kernel counts CPU seconds for the limit in clock ticks, hence the tolerance.
    killed_for_cpu = number == signal.SIGKILL and spent >= 0.8 * box.limits.cpu_seconds
    late = number == signal.SIGXCPU or killed_for_cpu
    return None, "timed-out" if late else "crashed"
