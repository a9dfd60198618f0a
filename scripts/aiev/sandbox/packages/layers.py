"""Unpacks wheels into layers: folders named by the digest of their packages, never changed.

Nothing of a wheel runs here. Files that an interpreter would run when it starts are left out
(`.pth`, sitecustomize, usercustomize). A layer is mounted as site-packages, after the standard
library on sys.path, so that it cannot shadow a standard module. Files have no write bits; folders
keep their owner's, so that `rm -r` works.
"""

import configparser
import errno
import fcntl
import io
import os
import re
import shutil
import stat
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import construct_record_file, copyfileobj_with_hashing, fix_shebang

from aiev.core.errors import UserError, hint_for
from aiev.sandbox.api import SITE_PACKAGES
from aiev.sandbox.packages.resolver import MIB, InstallFailed, run_module

PYTHON = "/opt/python/bin/python"
FORMAT = 1
"""Raise it when the same wheels give other files than before."""
FOLDERS = {"purelib": "", "platlib": "", "data": "", "scripts": "bin", "headers": "include"}
BLOCK = 4096
"""Bytes that a file counts for at least, so that a wheel of many empty files is too large too."""
MAX_METADATA = 16 * MIB
"""Bytes allowed for a file of dist-info, which is read whole; the largest known take 2 MiB."""
INVALID_WHEEL = (
    *(InstallerError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError),
    *(ValueError, LookupError, AssertionError, RuntimeError, configparser.Error),
    *(FileExistsError, NotADirectoryError, IsADirectoryError),
)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file against other threads and processes; the kernel releases it when its
    holder ends. Raises UserError if it cannot be made, or if the disk fails inside the block."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        where = str(error.filename or path)
        message = f"cannot keep packages: {error.strerror}"
        raise UserError(message, where=where, hint=hint_for(error)) from error


@contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """A folder beside the layers, absolute, to make one in; those of dead processes go first."""
    root = root.absolute()
    with locked(root / ".sweep"):
        _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=".part-", dir=root))
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(root: Path) -> None:
    for folder in root.glob(".part-*"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)


def unpack(wheels: Sequence[Path], folder: Path, max_mib: int) -> None:
    """Unpack the wheels, in order, into a new folder.

    Raises InstallFailed for what is too large or not a valid wheel, OSError for a full disk.
    """
    if sum(_checked_size(wheel) for wheel in wheels) > max_mib * MIB:
        raise InstallFailed(f"The packages take more than {max_mib} MiB.")
    folder.mkdir()
    for wheel in wheels:
        with _as_invalid_wheel(wheel), _Wheel.open(wheel) as source:
            install(source, _Destination(folder), {"INSTALLER": b"aiev\n"})


def compile_all(folder: Path, max_mib: int, deadline: float) -> None:
    """Write bytecode for all modules but tests, so that imports need not compile them. It is not
    checked against file times, so that a layer may be copied. Modules with errors are skipped."""
    tests = f"{re.escape(str(folder))}.*/tests?/"
    options = ["-q", "-q", "-x", tests, "--invalidation-mode", "unchecked-hash"]
    options += ["-s", str(folder), "-p", SITE_PACKAGES, str(folder)]
    with suppress(subprocess.TimeoutExpired):
        run_module("compileall", options, max_mib, deadline, Path(os.devnull), env={})


@contextmanager
def _as_invalid_wheel(wheel: Path) -> Iterator[None]:
    """Turn an error in a wheel into a message that is the same on every machine."""
    try:
        yield
    except InstallFailed:
        raise
    except INVALID_WHEEL as error:
        raise InstallFailed(f"{wheel.name} is not a valid wheel.") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise InstallFailed(f"{wheel.name} is not a valid wheel.") from error
        raise


def _checked_size(wheel: Path) -> int:
    """Bytes unpacked; reading stops at a member's stated size. Refuses names that lead outside."""
    with _as_invalid_wheel(wheel), zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            place = _inside(wheel.name, member.filename)
            if member.file_size > MAX_METADATA and any(
                p.endswith(".dist-info") for p in place.parts
            ):
                raise InstallFailed(f"{wheel.name} is not a valid wheel.")
        return sum(max(member.file_size, BLOCK) for member in archive.infolist())


def _inside(wheel: str, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise InstallFailed(f"{wheel} holds a file outside of its own folder.")
    return path


class _Wheel(WheelFile):
    """A wheel without its bytecode, which could differ from its source."""

    def get_contents(self) -> Iterator[tuple[tuple[str, str, str], BinaryIO, bool]]:
        for record, stream, is_executable in super().get_contents():
            if "__pycache__" not in record[0].split("/"):
                yield record, stream, is_executable


class _Destination(WheelDestination):
    """Writes a wheel's files below a folder laid out as site-packages."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write_file(
        self, scheme: str, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        place = _place(scheme, os.fspath(path))
        if _runs_at_start(place):
            return RecordEntry(os.fspath(path), None, None)
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # of two packages' same file the later one's counts
        with open(target, "wb") as file:
            if scheme == "scripts":
                with fix_shebang(stream, PYTHON) as fixed:
                    digest, size = copyfileobj_with_hashing(fixed, file, "sha256")
            else:
                digest, size = copyfileobj_with_hashing(stream, file, "sha256")
        target.chmod(0o755 if is_executable or scheme == "scripts" else 0o644)
        return RecordEntry(os.fspath(path), Hash("sha256", digest), size)

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        name, content = Script(name, module, attr, section).generate(PYTHON, "posix")
        return self.write_file("scripts", name, io.BytesIO(content), True)

    def finalize_installation(
        self, scheme: str, record_file_path: str, records: Iterable[tuple[str, RecordEntry]]
    ) -> None:
        def prefix(other: str) -> str | None:
            return f"{FOLDERS[other]}/" if FOLDERS[other] else None

        kept = [(s, record) for s, record in records if not _runs_at_start(_place(s, record.path))]
        with construct_record_file(kept, prefix) as stream:
            self.write_file(scheme, record_file_path, stream, False)


def _place(scheme: str, path: str) -> PurePosixPath:
    return PurePosixPath(FOLDERS[scheme]) / _inside("A wheel", path)


def _runs_at_start(place: PurePosixPath) -> bool:
    """Whether an interpreter would run the file before the program, because it lies at the top."""
    top = place.parts[0]
    lines = len(place.parts) == 1 and top.endswith((".pth", ".start"))
    return lines or top.partition(".")[0] in ("sitecustomize", "usercustomize")


def make_read_only(folder: Path) -> None:
    """Make all files readable for all and writable for nobody."""
    for place, folders, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            os.chmod(path, 0o555 if os.stat(path).st_mode & stat.S_IXUSR else 0o444)
        for name in folders:
            os.chmod(os.path.join(place, name), 0o755)
    folder.chmod(0o755)
