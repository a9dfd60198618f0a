"""The files that a request wants back from a box on this host, whatever a program made of them."""

import os
import stat
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath

from aiev.sandbox import Request
from aiev.sandbox.options import relative
from aiev.sandbox.watch import MIB, Box


def hold_folder(box: Box, request: Request, folders: list[int], stack: ExitStack) -> None:
    """Hold on to /box, which can then be read when every process of the box is dead."""
    if request.collect:
        with suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            fd = os.open(f"{box.root}/box", flags)
            stack.callback(os.close, fd)
            folders.append(fd)


def collect(folder: int, request: Request) -> dict[str, bytes]:
    """What the request asks for, of the folder that is held; see `Request.collect`."""
    files = {}
    for name in request.collect:
        with suppress(OSError):
            content = _read_regular(folder, relative(name), request.limits.file_mib * MIB)
            if content is not None:
                files[name] = content
    return files


def _read_regular(folder: int, name: str, most: int) -> bytes | None:
    """The content of a regular file of at most `most` bytes, through no symbolic link."""
    with ExitStack() as stack:
        *parents, last = PurePosixPath(name).parts
        for parent in parents:
            folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, folder)
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        stack.callback(os.close, fd)
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            return None
        return read_all(fd)


def read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
