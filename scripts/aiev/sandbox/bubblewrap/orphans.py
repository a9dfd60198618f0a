"""Ends boxes that a killed caller left half-built.

bwrap's child asks to die with its parent only once it is set up. A caller killed by SIGKILL before
that leaves the child waiting for ever: no program runs in it, but it is there.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

LABEL = "aiev-box"
"""The name under which bwrap is started here, by which its processes are found again."""


def sweep() -> list[int]:
    """End the half-built boxes of callers that are gone; their process ids. A box whose bwrap still
    lives, of any caller, is left alone."""
    swept = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if _labelled(folder) and _is_init(folder) and not _labelled(_parent(folder)):
                os.kill(int(folder.name), signal.SIGKILL)
                swept.append(int(folder.name))
    return swept


def _labelled(folder: Path) -> bool:
    return (folder / "cmdline").read_bytes().startswith(f"{LABEL}\0".encode())


def _is_init(folder: Path) -> bool:
    """Whether it is the first process of a process namespace of its own."""
    numbers = _status(folder, "NSpid").split()
    return len(numbers) > 1 and numbers[-1] == "1"


def _parent(folder: Path) -> Path:
    return folder.parent / _status(folder, "PPid")


def _status(folder: Path, name: str) -> str:
    for line in (folder / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    raise ValueError(name)
