"""Checks a request before anything starts, so that no value of it is more than data.

bwrap reads options separated by null bytes, a container engine JSON, the kernel C strings. What
one of them would take for something else, or refuse halfway, is a UserError here.
"""

import math
import os
import stat
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

from aiev.core.errors import UserError
from aiev.sandbox.api import SITE_PACKAGES, Limits, Request

MAX_NAME = 255
"""Bytes of one name in a path: NAME_MAX of Linux's file systems."""
MAX_PATH = 4000
"""Bytes of a path in the box, below PATH_MAX."""
MAX_STRING = 100_000
"""Bytes of one argument or environment variable, below MAX_ARG_STRLEN (128 KiB)."""
MAX_STRINGS = 1 << 20
"""Bytes of all arguments and environment variables, half of what execve(2) takes by default."""
MAX_LIMIT = 1 << 40
"""Above any machine, and small enough that MiB in bytes fit into the kernel's 64 bits."""
MIB = 1 << 20
_OURS = "/opt/box /opt/python /proc /dev /box /tmp /usr/bin /usr/lib /usr/lib64 /bin /lib /lib64"
OURS = tuple(map(PurePosixPath, (*_OURS.split(), "/etc/ld.so.cache", "/etc/ld.so.preload")))
"""Places in the box that nothing may be mounted over or into, but a layer of packages: our own
code, what covers process 1, what is limited in size, what runs before a program is limited."""
VARIABLES = (
    *("AIEV_BOX", "GCONV_PATH", "LOCPATH", "PYTHONEXECUTABLE", "PYTHONHASHSEED", "PYTHONHOME"),
    *("PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE"),
)
LOADER = "LD_"
"""Variables, and the beginning of those, that decide what code an interpreter starts with: a box's
first one starts before the program is limited. The hash seed is the request's own."""


def validate(request: Request, from_root: bool) -> dict[str, bytes]:
    """The request's files as bytes, by normalised name. Raises UserError for a request that is
    impossible.

    from_root: whether the program's user is another than ours, so that mounts must be readable
    for all.
    """
    _check_limits(request.limits)
    _check_command(request)
    _check_environment(request)
    if type(request.hash_seed) is not int or not 0 <= request.hash_seed < 1 << 32:
        raise _wrong("hash_seed", request.hash_seed, "an integer from 0 to 4294967295")
    for inside, outside in request.mounts.items():
        _check_mount(inside, outside, from_root)
    for name in request.collect:
        relative(name)
    return _files(request)


def relative(name: str) -> str:
    """A file's name in /box, normalised. Raises UserError where it is none."""
    _check_text("files", name)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UserError(f"{name!r} is no name for a file in the sandbox", hint="name it in /box")
    _check_length("files", path)
    return str(path)


def _wrong(field: str, value: Any, hint: str) -> UserError:
    shown = repr(value) if len(repr(value)) < 100 else f"{value!r:.100}..."
    return UserError(
        f"the sandbox cannot take {shown}", where=f"the request's {field}", hint=f"give {hint}"
    )


def _check_limits(limits: Limits) -> None:
    for field in fields(limits):
        value = getattr(limits, field.name)
        kinds = (int, float) if field.name == "wall_seconds" else (int,)
        if type(value) not in kinds or not (math.isfinite(value) and 0 < value <= MAX_LIMIT):
            kind = "a number" if len(kinds) == 2 else "an integer"
            hint = f"{kind} above 0, at most {MAX_LIMIT}"
            raise _wrong(f"limits.{field.name}", value, hint)


def _check_command(request: Request) -> None:
    words = request.command
    if isinstance(words, str) or not words or not words[0]:
        raise _wrong("command", words, "a list of words that begins with a program")
    for word in words:
        _check_text("command", word)


def _check_environment(request: Request) -> None:
    for name, value in request.environment.items():
        _check_text("environment", name)
        if not name or "=" in name:
            raise _wrong("environment", name, "names that are not empty, without `=`")
        if name in VARIABLES or name.startswith(LOADER):
            raise _wrong("environment", name, "other variables: the box sets this one")
        _check_text(f"environment[{name!r}]", value)
    variables = (f"{name}={value}" for name, value in request.environment.items())
    size = sum(len(text.encode()) + 1 for text in (*request.command, *variables))
    if size > MAX_STRINGS:
        hint = f"pass less than {MAX_STRINGS} bytes, or write them to a file"
        raise UserError(f"command and environment take {size} bytes", hint=hint)


def _check_mount(inside: str, outside: Path, from_root: bool) -> None:
    _check_text("mounts", inside)
    _check_text("mounts", os.fspath(outside))
    path = PurePosixPath(inside)
    _check_length("mounts", path)
    if path.root != "/" or ".." in path.parts or len(path.parts) < 2:  # "//" is another root
        raise _wrong("mounts", inside, "an absolute path in the sandbox, below /")
    if inside != SITE_PACKAGES and any(
        path.is_relative_to(own) or own.is_relative_to(path) for own in OURS
    ):
        raise _wrong("mounts", inside, f"a path outside {', '.join(map(str, OURS))}")
    if not Path(outside).exists():
        raise UserError(
            f"cannot mount {outside} at {inside!r} in the sandbox", hint="mount what is there"
        )
    if from_root and not os.stat(outside).st_mode & stat.S_IROTH:
        raise UserError(
            f"{outside} cannot be read by the sandbox user", hint=f"chmod -R a+rX {outside}"
        )
    if inside == SITE_PACKAGES and any(Path(outside).glob("*.pth")):
        raise UserError(
            f"{outside} holds a .pth file, which Python would run before the sandbox's own code",
            hint="leave it out: a layer of packages has none",
        )


def _check_text(field: str, text: Any) -> None:
    if not isinstance(text, str) or "\0" in text:
        raise _wrong(field, text, "text without null bytes")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _wrong(field, text, "text without lone surrogates") from None
    if size > MAX_STRING:
        raise _wrong(field, text, f"at most {MAX_STRING} bytes, or write it to a file")


def _check_length(field: str, path: PurePosixPath) -> None:
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > MAX_NAME or len(str(path).encode()) > MAX_PATH:
        raise _wrong(field, str(path), f"names of at most {MAX_NAME} bytes")


def _files(request: Request) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, content in request.files.items():
        # A model may write half of a surrogate pair: the program's fault, which its run will tell.
        text = isinstance(content, str)
        data = content.encode("utf-8", "surrogatepass") if text else bytes(content)
        place = relative(name)
        if place in files:
            raise _wrong("files", name, "each file once")
        files[place] = data
    for name in files:
        if any(str(parent) in files for parent in PurePosixPath(name).parents):
            raise _wrong("files", name, "no file in the place of a folder")
    size = sum(map(len, files.values()))
    if size > request.limits.disk_mib * MIB:
        raise UserError(
            f"the request's files hold {size} bytes, more than the box's disk",
            hint="give a greater `disk_mib`",
        )
    return files
