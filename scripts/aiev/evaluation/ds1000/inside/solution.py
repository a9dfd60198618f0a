"""Runs a solution's code in a process that knows nothing of the tests.

`serve` runs in a fork from before the problem was read. For each code it forks once more; that
process runs the code and hands over what came of it. Then all processes that the code started are
ended, so that none is alive while the tests look at the result.
"""

import contextlib
import copy
import os
import pickle
import random
import resource
import select
import signal
import struct
import sys
import time

from handover import dumps

MAX_MESSAGE = 256 << 20
"""Bytes of one message; a larger one is none."""
MAX_FILES = 64 << 20
"""Bytes of all files that a solution hands over."""
IDLE_SHARE, MIN_IDLE_SECONDS = 0.25, 3
"""A solution that neither computes nor ends is ended after this share of its CPU time."""
END_SECONDS = 10
"""Time in which all its processes must be gone."""
TICK = 0.25
SET_DUMPABLE, SET_CHILD_SUBREAPER = 4, 36
"""Operations of prctl."""

ANSWERED, TIMED_OUT, ENDED = b"A", b"T", b"E"
"""First byte of a reply: what came of the code follows; too much CPU time; the process ended."""


def serve(channel, seconds: float) -> None:
    """Run each code that comes through the socket, until it is closed.

    seconds: CPU time of one code and all its processes.
    """
    set_process(SET_DUMPABLE, 0)
    set_process(SET_CHILD_SUBREAPER, 1)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    while message := receive(channel.fileno()):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            channel.close()
            os.close(read)
            _run(message, write)
        os.close(write)
        reply = _await(read, seconds)
        os.close(read)
        if not _end_all():
            reply = ENDED
        send(channel.fileno(), reply)
    os._exit(0)


def _run(message: bytes, fd: int) -> None:
    """In the child: run the code and send what came of it."""
    set_process(SET_DUMPABLE, 1)
    os.setsid()
    folder = f"solution-{os.getpid()}"
    os.mkdir(folder)
    os.chdir(folder)
    code, scope, states = pickle.loads(message)
    # Arrays that were unpickled cannot always be written to; copies can.
    scope = copy.deepcopy(scope)
    _set_random_states(states)
    send(fd, _ran(code, scope))
    os._exit(0)


def _ran(code: str, scope: dict) -> bytes:
    """What came of the code: the pickled result, figure and files, or the error."""
    found = {"error": "", "result": b"", "figure": b"", "files": {}}
    try:
        exec(code, scope)
        found["result"] = dumps(scope["result"])
        if "matplotlib.pyplot" in sys.modules:
            plt = sys.modules["matplotlib.pyplot"]
            if plt.get_fignums():
                found["figure"] = dumps(plt.gcf())
        found["files"] = take_files(".")
    except BaseException as error:
        found = {"error": f"{type(error).__name__}: {error}"[:500]}
    return dumps(found)


def _await(fd: int, seconds: float) -> bytes:
    """The reply to what the child sends, or to its end or its limits."""
    head, body = b"", []
    left = 8
    used, since = -1.0, time.monotonic()
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    idle = max(MIN_IDLE_SECONDS, IDLE_SHARE * seconds)
    while left:
        if select.select([fd], [], [], TICK)[0]:
            part = os.read(fd, min(left, 1 << 20))
            if not part:
                return ENDED
            left -= len(part)
            if len(head) < 8:
                head += part
                if not left:
                    left = struct.unpack("!Q", head)[0]
                    if not 0 < left <= MAX_MESSAGE:
                        return ENDED
            else:
                body.append(part)
            continue
        now = _cpu_seconds(start)
        if now > used:
            used, since = now, time.monotonic()
        if used > seconds or time.monotonic() - since > idle:
            return TIMED_OUT
    return ANSWERED + b"".join(body)


def _cpu_seconds(start) -> float:
    """CPU time of all descendants, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime - start.ru_utime - start.ru_stime
    ticks = sum(sum(map(int, fields[11:15])) for _, fields in _descendants())
    return total + ticks / os.sysconf("SC_CLK_TCK")


def _descendants() -> list:
    """(process, fields of its stat from the third on) of all descendants of this process."""
    fields, parents = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                words = file.read().rpartition(b")")[2].split()
                fields[int(entry)], parents[int(entry)] = words, int(words[1])
    found, own = [], os.getpid()
    for process in fields:
        above = process
        while above in parents and above != own:
            above = parents[above]
        if above == own and process != own:
            found.append((process, fields[process]))
    return found


def _end_all() -> bool:
    """End all descendants; whether they are gone. Orphans among them are this process's own."""
    until = time.monotonic() + END_SECONDS
    while time.monotonic() < until:
        for process, _ in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.001)
    return False


def take_files(folder: str) -> dict:
    """Content of the regular files of a directory, which are removed."""
    found, size = {}, 0
    for entry in list(os.scandir(folder)):
        if entry.is_file(follow_symlinks=False) and size < MAX_FILES:
            with open(entry.path, "rb") as file:
                found[entry.name] = file.read(MAX_FILES - size)
            size += len(found[entry.name])
            os.unlink(entry.path)
    return found


def random_states() -> dict:
    """The solution goes on with the random numbers of the tests, as in one process."""
    states = {"random": random.getstate()}
    if "numpy" in sys.modules:
        states["numpy"] = sys.modules["numpy"].random.get_state()
    return states


def _set_random_states(states: dict) -> None:
    random.setstate(states["random"])
    if "numpy" in states:
        sys.modules["numpy"].random.set_state(states["numpy"])


def send(fd: int, message: bytes) -> None:
    """Send one message with its length."""
    data = memoryview(struct.pack("!Q", len(message)) + message)
    while data:
        data = data[os.write(fd, data) :]


def receive(fd: int) -> bytes:
    """The next message; b"" when the other side is gone."""
    head = _exactly(fd, 8)
    return _exactly(fd, struct.unpack("!Q", head)[0]) if head else b""


def _exactly(fd: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def set_process(operation: int, value: int) -> None:
    """prctl of this process: whether others of the user may read its memory; whether orphans among
    its descendants become its children."""
    import _ctypes

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")
    _ctypes.call_function(prctl, (operation, value, 0, 0, 0))
