"""The sandbox: runs a program that nobody trusts, and says how it ended.

    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(Request({"main.py": code}, ("python", "main.py")))

The program has no network, no view of the host, no privileges, and limits on all that it may use;
a filter keeps the kernel's rarer calls from it. What is stopped and what is not, how each backend
does it and how that is tested: docs/sandbox.md.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from aiev.core.errors import UserError

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
             out-of-memory  the watcher stopped the box, or it ended badly and the last word of
                            stderr is a failed allocation (MemoryError, errno 12, bad_alloc); one
                            that the program caught and survived is its own affair
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
        from aiev.sandbox.bubblewrap.backend import open_bubblewrap

        opened = open_bubblewrap()
    elif backend == "docker":
        from aiev.sandbox.docker.backend import open_docker

        opened = open_docker(**docker)
    else:
        raise UserError(
            f"there is no sandbox named {backend!r}", hint="use 'bubblewrap' or 'docker'"
        )
    with opened as sandbox:
        yield sandbox


def with_containers(sandbox: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    """The sandbox of a job's parameters with its pool of containers, as `open_sandbox` takes it."""
    if "docker" not in sandbox:
        return dict(sandbox)
    pool = execution["containers"]
    docker = {**sandbox["docker"], "containers": pool["count"], "runs": pool["runs"]}
    return {**sandbox, "docker": docker}
