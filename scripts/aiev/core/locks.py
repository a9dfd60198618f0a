"""Locks on files, held by the kernel: they end with the process that holds them."""

import fcntl
import os
import socket
from pathlib import Path
from typing import IO

from aiev.core.errors import UserError


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


def _no_locks(path: Path, error: OSError) -> UserError:
    hint = "work on a file system with locks that hold on all hosts (flock)"
    return UserError(f"cannot lock: {error.strerror}", where=str(path), hint=hint)
