"""A process that starts the solutions, and never had a test in its memory.

It is forked from the controller before that one reads the cases. A solution is its child: what a
solution finds in its frames, in the garbage collector or in /proc/self/mem is its own text alone.
"""

import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator

from . import solution_process
from .wire import Closed, receive, send

DESCRIPTORS = 64
"""More than any process of the checker has open."""


class Starter:
    """The controller's end. pid: of the process."""

    def __init__(self):
        self.socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid:
            theirs.close()
            return
        try:
            self.socket.close()
            _serve(theirs)
        finally:
            os._exit(0)

    def start(self, solution: str, seconds: int, fd: int) -> int:
        """Start a solution that answers on that descriptor; its process. Raises Closed."""
        socket.send_fds(self.socket, [b"!"], [fd])
        return self._ask({"solution": solution, "seconds": seconds})

    def wait(self, child: int) -> tuple[int, float]:
        """Status and CPU seconds of one that was started and is ending. Raises Closed."""
        return tuple(self._ask({"wait": child}))

    def _ask(self, words: dict):
        send(self.socket.fileno(), json.dumps(words).encode())
        return json.loads(receive(self.socket.fileno()))


def _serve(asked: socket.socket) -> None:
    answered = asked.fileno()
    while True:
        fds = socket.recv_fds(asked, 1, 1)[1] if _next_is_start(asked) else []
        try:
            words = json.loads(receive(answered))
        except Closed:
            return
        if "wait" in words:
            _, status, used = os.wait4(words["wait"], 0)
            answer = [status, used.ru_utime + used.ru_stime]
        else:
            answer = fork(lambda fd=fds[0], own=words: _be_solution(fd, own), {fds[0]})
            os.close(fds[0])
        send(answered, json.dumps(answer).encode())


def _next_is_start(asked: socket.socket) -> bool:
    """Whether a descriptor comes first: a length in front of a message never begins so."""
    return asked.recv(1, socket.MSG_PEEK) == b"!"


def _be_solution(fd: int, words: dict) -> None:
    set_dumpable(1)  # a program may look at itself
    limit_cpu(words["seconds"])
    solution_process.run(fd, words["solution"])


def fork(work: Callable[[], None], keep: set[int]) -> int:
    """A child in a process group of its own, with these descriptors and no other ones open."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        for fd in range(3, DESCRIPTORS):
            if fd not in keep:
                os.closerange(fd, fd + 1)
        work()
    finally:
        os._exit(0)


def limit_cpu(seconds: int) -> None:
    """SIGXCPU ends the process at the limit, SIGKILL one second later if it handles the signal."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def set_dumpable(value: int) -> None:
    """Whether other processes of the user may read this one's memory (PR_SET_DUMPABLE)."""
    import _ctypes

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")
    _ctypes.call_function(prctl, (4, value, 0, 0, 0))


def end_all_but(kept: set[int]) -> bool:
    """End every process of this user but these, however fast they fork; whether all are gone.

    What a solution leaves behind could meddle with the next one's tests.
    """
    for _ in range(2000):
        living = [pid for pid in _processes() if pid not in kept and _is_ending(pid)]
        if not living:
            return True
        os.sched_yield()
    return False


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _is_ending(pid: int) -> bool:
    """Kill a process; whether it has not ended yet."""
    try:
        os.kill(pid, signal.SIGKILL)
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:  # it is gone, or another user's
        return False
