"""Starts bwrap and waits until the box's first process exists."""

import json
import os
import resource
import select
import signal
import subprocess
from contextlib import ExitStack, suppress
from functools import partial
from typing import BinaryIO

from aiev.core.errors import UserError
from aiev.sandbox.api import Limits
from aiev.sandbox.bubblewrap.collect import read_all
from aiev.sandbox.bubblewrap.executable import ENABLE, Executable
from aiev.sandbox.bubblewrap.options import USER
from aiev.sandbox.inside.cleanup import ADDR_NO_RANDOMIZE, LIBC
from aiev.sandbox.inside.monitor import Box

FIRST_USER = 0x70000000
"""Above the users that distributions give out, for people and for containers."""


class Pipe:
    """Both ends of a pipe, closed with the stack at the latest."""

    def __init__(self, stack: ExitStack):
        self.reader, writer = os.pipe()
        stack.callback(os.close, self.reader)
        self.writer = stack.enter_context(os.fdopen(writer, "wb", buffering=0))


def memory_file(content: bytes, stack: ExitStack) -> int:
    """Descriptor of an anonymous file with that content, to be inherited by bwrap."""
    fd = os.memfd_create("box")
    stack.callback(os.close, fd)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def spawn_bwrap(
    program: Executable,
    command: list[str],
    stdout: BinaryIO,
    stderr: BinaryIO,
    inherited: tuple[int, ...],
) -> subprocess.Popen:
    """Start bwrap from this thread, with nothing of this process's environment.

    Addresses are not randomised, so that a program that prints them prints the same in each run.
    The switch belongs to this thread and is put back; where a container forbids it, addresses vary.
    """
    before = LIBC.personality(0xFFFFFFFF)
    LIBC.personality(before | ADDR_NO_RANDOMIZE)
    try:
        return subprocess.Popen(
            command,
            executable=program.path,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=program.environment,
            pass_fds=inherited,
        )
    except OSError as error:
        raise UserError(f"cannot start bwrap: {error.strerror}", hint=ENABLE) from error
    finally:
        LIBC.personality(before)


def wait_for_init(
    process: subprocess.Popen, info: int, limits: Limits, stack: ExitStack
) -> Box | None:
    """The box that bwrap has begun to build; None if bwrap ended before.

    info: descriptor of what bwrap writes about the box's first process (`--info-fd`).
    """
    try:
        init = json.loads(read_all(info))["child-pid"]
        pidfd = os.pidfd_open(init)
        stack.callback(os.close, pidfd)
        with open(f"/proc/{init}/stat", "rb") as stream:
            parent = stream.read().rpartition(b")")[2].split()[1]
    except (OSError, ValueError):
        return None
    if int(parent) != process.pid:
        return None
    stack.callback(_end, pidfd)
    exit_fd = os.pidfd_open(process.pid)  # bwrap ends with the program
    stack.callback(os.close, exit_fd)
    return Box(
        f"/proc/{init}/root",
        partial(_kill, pidfd),
        limits,
        net=f"/proc/{init}/net",
        builder_died=lambda: process.poll() is not None,
        begin=partial(_restrain, init, limits),
        exit_fd=exit_fd,
    )


def map_users(process: str) -> None:
    """Map two users into the box of a root caller: root, to build it, and an ordinary user, to run
    the program as. process: the folder in /proc of the box's first process.

    Outside the program's user is one of its own for each box, so that none takes from another what
    the kernel counts by user: queued signals, pages of pipes, files in flight, epoll's watches.
    An ordinary caller has one mapping only, which bwrap writes. A program that ran as root in the
    box could write to /proc/sys and would be refused no process.
    """
    outside = _user_outside(int(os.path.basename(process)))
    for kind in ("uid_map", "gid_map"):
        try:
            with open(f"{process}/{kind}", "w") as stream:
                stream.write(f"0 0 1\n{USER} {outside} 1\n")
        except OSError as error:
            message = f"cannot map users for the sandbox: {error.strerror}"
            raise UserError(message, hint=ENABLE) from error


def _user_outside(pid: int) -> int:
    """A user that no other box has now; the same for all where this root has few users."""
    with open("/proc/self/uid_map") as users, open("/proc/self/gid_map") as groups:
        ranges = [[int(word) for word in line.split()] for line in (*users, *groups)]
    enough = all(first == 0 and size > FIRST_USER + pid for first, _, size in ranges)
    return FIRST_USER + pid if enough else USER


def _restrain(pid: int, limits: Limits) -> None:
    """Leave the box's process 1 only what it needs to wait for the others."""
    for kind in ("CORE", "FSIZE", "NPROC", "NOFILE", "DATA"):
        with suppress(OSError):  # it has ended
            resource.prlimit(pid, getattr(resource, f"RLIMIT_{kind}"), (0, 0))
    seconds = limits.cpu_seconds + 1
    with suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))


def _end(pidfd: int) -> None:
    """Kill the box's process 1 and wait until it is gone, and with it all others."""
    _kill(pidfd)
    gone = select.poll()
    gone.register(pidfd, select.POLLIN)
    gone.poll()


def _kill(pidfd: int) -> None:
    """The kernel ends every process of a box when its process 1 dies."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
