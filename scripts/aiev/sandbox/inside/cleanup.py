"""Cleans a warm container after a run, once the files that are asked for have been read.

Part of the container's worker, which has the standard library only. Files of the program's user are
read and removed by a child that runs as that user: root without capabilities may not.
"""

import ctypes
import os
import resource
import shutil
import stat
import struct
from contextlib import ExitStack, suppress

LIBC = ctypes.CDLL(None, use_errno=True)
USER = 65534
ADDR_NO_RANDOMIZE = 0x0040000
OPEN_FOLDER = stat.S_IRUSR | stat.S_IXUSR
WRITABLE = {"/box": 0o777, "/tmp": 0o1777, "/dev/shm": 0o1777}


def leave_root() -> None:
    """Become an ordinary user for good, without capabilities. Addresses are not randomised, so that
    a program that prints them prints the same in each run."""
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    LIBC.personality(ADDR_NO_RANDOMIZE)


def collect(names: list[str], max_bytes: int) -> dict[int, bytes]:
    """The regular files of /box of at most `max_bytes`, reached through no symbolic link, by their
    index in `names`.

    Read as the program's user, by a child: this process could be kept out by a file's mode.
    """
    if not names:
        return {}
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException), open(writer, "wb") as stream:
            leave_root()
            folder = os.open("/box", os.O_RDONLY | os.O_DIRECTORY)
            for number, name in enumerate(names):
                with suppress(OSError):
                    content = read_regular(folder, name, max_bytes)
                    if content is not None:
                        stream.write(struct.pack("!II", number, len(content)) + content)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    found, at = {}, 0
    while at < len(data):
        number, size = struct.unpack_from("!II", data, at)
        found[number] = data[at + 8 : at + 8 + size]
        at += 8 + size
    return found


def read_regular(folder: int, name: str, max_bytes: int) -> bytes | None:
    """The content of a regular file of at most `max_bytes` that its owner may read, reached from
    the open folder through no symbolic link; None for another. Raises OSError."""
    with ExitStack() as stack:
        *parents, last = name.split("/")
        for parent in parents:
            folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, folder)
            if os.fstat(folder).st_mode & OPEN_FOLDER != OPEN_FOLDER:  # no bar to root
                return None
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        stream = stack.enter_context(open(fd, "rb"))
        about = os.fstat(fd)
        fits = stat.S_ISREG(about.st_mode) and about.st_size <= max_bytes
        return stream.read() if fits and about.st_mode & stat.S_IRUSR else None


def clean() -> None:
    """Remove all that a run left. Raises OSError if something cannot be removed."""
    if not all([*map(_emptied, WRITABLE)]):  # each of them, whatever the others hold
        child = os.fork()
        if not child:
            with suppress(BaseException):
                leave_root()
                resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
                for folder in WRITABLE:
                    _remove_tree(folder)
            os._exit(0)
        os.waitpid(child, 0)
    for folder in WRITABLE:
        if not _emptied(folder):
            raise OSError(f"{folder} cannot be emptied")
        with suppress(OSError):  # where the file system keeps no attributes
            for name in os.listxattr(folder):
                os.removexattr(folder, name)


def _emptied(folder: str) -> bool:
    """Remove what root may, as the folder's owner: files, and folders that are empty."""
    for entry in os.scandir(folder):
        with suppress(OSError):
            remove = os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink
            remove(entry.path)
    return not os.listdir(folder)


def _remove_tree(folder: str) -> None:
    """Empty it, whatever the modes; nothing else runs here that could swap a folder for a link."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(f"{path}/{name}"):
                os.chmod(f"{path}/{name}", 0o700)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:  # rmtree would open it: a pipe that nobody writes to never lets it go on
            with suppress(OSError):
                os.unlink(entry.path)
