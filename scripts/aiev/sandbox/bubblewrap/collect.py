"""The files that a request wants back from a box on this host, whatever a program made of them."""

import os
from contextlib import ExitStack, suppress

from aiev.sandbox.api import Request
from aiev.sandbox.inside.cleanup import read_regular
from aiev.sandbox.inside.monitor import MIB, Box
from aiev.sandbox.validation import relative


def open_workdir(box: Box, request: Request, folders: list[int], stack: ExitStack) -> None:
    """Add a descriptor of the box's /box to `folders`, which keeps its files readable after every
    process of the box has ended."""
    if request.collect:
        with suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            fd = os.open(f"{box.root}/box", flags)
            stack.callback(os.close, fd)
            folders.append(fd)


def collect(folder: int, request: Request) -> dict[str, bytes]:
    """The files that the request asks for, of that open folder; see `Request.collect`."""
    files = {}
    for name in request.collect:
        with suppress(OSError):
            content = read_regular(folder, relative(name), request.limits.file_mib * MIB)
            if content is not None:
                files[name] = content
    return files


def read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
