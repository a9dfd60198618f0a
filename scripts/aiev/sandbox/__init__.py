"""The sandbox: runs a program that nobody trusts, and says how it ended.

    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(Request({"main.py": code}, ("python", "main.py")))

What the box stops (one hostile test for each line in tests/unit/test_sandbox.py):
- network: no address answers, no name resolves; there is only an own loopback
- host files: no home directory, project or /etc/shadow; nothing to write outside /box and /tmp
- host processes: the box sees and can signal its own only
- host secrets: the environment is empty but for fixed values and the request's own
- privileges: an ordinary user without capabilities, who can gain none nor make a namespace
- time: the wall clock ends every process in the box, daemons and those that ignore signals too;
  CPU seconds count for each process
- memory: RLIMIT_DATA for each process, and their sum (shared memory too) by a watcher
- processes: RLIMIT_NPROC, counted in the box's own user namespace, threads included
- files: size and number of open ones, sizes of /box and of /tmp (each `disk_mib`), no core dumps
- output: each stream is kept up to `output_kib`; who writes more is stopped at once
- tricks on what is handed back: only regular files of /box, followed through no symbolic link
- leftovers: a box leaves nothing behind, neither a process nor a file, and each starts fresh

What it does not stop:
- bugs of the kernel: there is no system call filter, only namespaces and no new privileges
- memory that no process maps (files in /box, /tmp and memfds, each up to `file_mib`; System V
  segments; inodes): it is bounded by the limits on disk, files and time, not by `memory_mib`
- reading the system's libraries (/usr/lib), the host's kernel version, load and clocks; where a
  directory of the box lies on the host can be read in /proc/self/mountinfo
- taking all CPU cores for as long as the limits allow
- a program that lies about itself: it may exit with 0 without having done anything

Why RLIMIT_DATA and not RLIMIT_AS: BLAS, threads and allocators reserve address space that they
never write to, so that RLIMIT_AS breaks NumPy; RLIMIT_DATA counts private writable memory only.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from aiev.errors import UserError

SITE_PACKAGES = "/opt/python/lib/python{}.{}/site-packages".format(*sys.version_info)
"""Where a layer of packages is mounted: after the standard library on every interpreter's path."""


@dataclass(frozen=True)
class Limits:
    """What one run may use; the units are in the names."""

    wall_seconds: float = 10
    cpu_seconds: int = 10
    memory_mib: int = 1024
    processes: int = 64
    open_files: int = 256
    file_mib: int = 64
    disk_mib: int = 256
    output_kib: int = 256


@dataclass(frozen=True)
class Request:
    """A program and what it needs.

    files:       relative name -> content, put into the fresh working directory /box.
    command:     argument list; "python" is the sandbox's interpreter, and scripts in /box may
                 import each other as they could outside.
    environment: added to the fixed minimal environment.
    mounts:      absolute path inside -> path on the host, read-only. Under root the program
                 still is an ordinary user: what is mounted must be readable for all.
    collect:     names relative to /box of regular files to hand back; one that is missing, not
                 regular, behind a symbolic link, unreadable or above `file_mib` is left out.
    hash_seed:   PYTHONHASHSEED.
    """

    files: Mapping[str, str | bytes]
    command: tuple[str, ...]
    limits: Limits = Limits()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    hash_seed: int = 0


@dataclass(frozen=True)
class Result:
    """How a run ended.

    outcome: passed         exit code 0
             failed         another exit code
             timed-out      the wall clock, or CPU seconds (SIGXCPU, or SIGKILL past the limit)
             out-of-memory  the watcher stopped the box, or it ended badly and a line of stderr
                            begins with a failed allocation (MemoryError, errno 12, bad_alloc);
                            one that the program caught and survived is its own affair
             crashed        a signal
             output-cut     stopped because stdout or stderr went past `output_kib`
    exit_code: the program's own; None where the program was ended by a signal or by us.
    stdout, stderr: UTF-8, wrong bytes replaced, the first `output_kib` of each.
    seconds: wall time from the program's start to its end.
    """

    exit_code: int | None
    outcome: str
    stdout: str
    stderr: str
    files: Mapping[str, bytes]
    seconds: float


class Sandbox(Protocol):
    """A way to run programs in a box."""

    def run(self, request: Request) -> Result:
        """Run the request to its end; any number of threads may call this at once.

        Raises UserError where the request is impossible or the box cannot be made.
        """


@contextmanager
def open_sandbox(
    backend: str, docker: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Sandbox]:
    """Open the backend of that name, after a test that it isolates on this machine.

    docker: the config's `sandbox.docker`, for the backend of that name.
    Raises UserError with what to install or enable; there is no other way to run the code.
    """
    if backend == "bubblewrap":
        from aiev.sandbox.bubblewrap import open_bubblewrap

        opened = open_bubblewrap()
    elif backend == "docker":
        from aiev.sandbox.docker import open_docker

        opened = open_docker(**docker)
    else:
        raise UserError(
            f"there is no sandbox named {backend!r}", todo="use 'bubblewrap' or 'docker'"
        )
    with opened as sandbox:
        yield sandbox
