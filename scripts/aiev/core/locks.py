"""Locks on files, held by the kernel: they end with the process that holds them.

By hand, and not by the library filelock: a lock file that was removed by its holder has to be told
from a new one of the same name, and the file of a dead holder is a mark that its work was cut off.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from aiev.core.errors import UserError

POLL_SECONDS = 0.1
"""Time between two attempts to take a lock that another process holds."""


def hold(lock: Path, taken: str, hint: str = "wait for it or stop it") -> IO[str]:
    """Take the kernel's lock on a file; it is held until the result is closed.

    Raises UserError, which says `taken` and by which process, when another one has it.
    """
    lock.parent.mkdir(exist_ok=True)
    file = open(lock, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise UserError(f"{taken} (process {holder})", where=str(lock), hint=hint) from None
    except OSError as error:
        raise _no_locks(lock, error) from error
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file


def try_lock(path: Path) -> int | None:
    """Descriptor of the locked file; None when another holds it, or has just removed it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before removes its file: a lock on that one keeps nobody out.
        if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(descriptor)
        raise _no_locks(path, error) from error
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


@asynccontextmanager
async def lock_when_free(path: Path) -> AsyncIterator[bool]:
    """Hold the lock on a file for the length of the block; wait for it without blocking the loop.

    Gives whether the file was there: a holder removes it in the end, so that a file without a
    holder is that of a process that was killed. Raises UserError where there are no locks, OSError
    where the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    left_behind = path.exists()  # or its holder is at work, and then removes it
    while (descriptor := try_lock(path)) is None:
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield left_behind
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def locked_for_append(path: Path) -> Iterator[IO[bytes]]:
    """The file, open to read and append, unbuffered, and locked against all other threads and
    processes for the length of the block. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Locks of one file that is opened twice exclude each other, so that threads wait too.
    with open(path, "a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _no_locks(path: Path, error: OSError) -> UserError:
    hint = "work on a file system with locks that hold on all hosts (flock)"
    return UserError(f"cannot lock: {error.strerror}", where=str(path), hint=hint)
