"""What a sandbox is asked and what it answers: types alone, for modules that open no sandbox.

Who imports these does not depend on the backends' code, so that an edit there makes no training and
no question to a model stale.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

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
             out-of-memory  the monitor stopped the box, or it failed and stderr ends with a failed
                            allocation (MemoryError, errno 12, bad_alloc); one that the program
                            caught and survived does not count
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
    """A backend that runs programs."""

    def run(self, request: Request) -> Result:
        """Run the request to its end; any number of threads may call this at once.

        Raises UserError if the request is impossible or the sandbox cannot be started.
        """
