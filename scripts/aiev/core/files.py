"""The records on disk and how they are read and written.

JSON Lines: UTF-8, sorted keys, one record a line, one trailing newline; no time stamps, host names
or absolute paths. Files are written beside their place and renamed, so a reader never sees half.
"""

import errno
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError, hint_for

TOO_DEEP = "lists or objects nested too deep for Python to read"
_CORRECT = "correct the file, or put back a complete copy of it"
_HINTS = {
    errno.ENOENT: "check the path",
    errno.EISDIR: "name a file; this is a directory",
    errno.ENOTDIR: "check the path; a part of it is a file, and no directory",
    errno.EACCES: "fix the permissions of the file",
}
"""What to do about a file that cannot be read."""


def dump_line(record: Any) -> str:
    """One line of JSON without its newline. Lone surrogates are escaped, so it is valid UTF-8."""
    return _as_json(record)


def _as_json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, sort_keys=True, indent=indent, allow_nan=False)
    return text


def write_bytes(path: Path, data: bytes, flush: bool = True) -> None:
    """Write beside `path`, flush to disk, rename. Raises UserError where that fails.

    flush=False: for data that can be made again after a power cut, and whose damage is noticed.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):  # there may not even be a directory
            beside.unlink()
        raise UserError(
            f"cannot write: {error.strerror}",
            where=str(path),
            hint=f"{hint_for(error)}, then run again; nothing finished is lost",
        ) from error


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """One JSON value, sorted keys, indented by two for the reader. Lone surrogates are escaped."""
    write_text(path, _as_json(value, indent=2) + "\n")


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    write_text(path, "".join(dump_line(record) + "\n" for record in records))


def read_text(path: Path) -> str:
    """Read a UTF-8 file. Raises UserError where it is missing or not UTF-8."""
    try:
        return Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}",
            where=str(path),
            hint="convert the file to UTF-8",
        ) from error
    except OSError as error:
        hint = _HINTS.get(error.errno)
        raise UserError(f"cannot read: {error.strerror}", where=str(path), hint=hint) from error


def mark_used(path: Path) -> None:
    """Set the time at which a cached file was last used, by which old ones are found."""
    with suppress(OSError):  # another user's, or just removed
        os.utime(path)


def check_file(path: Path, missing: str, hint: str) -> None:
    """Raise UserError, which says `missing` where there is nothing, unless `path` is a file."""
    if os.path.isdir(path):
        raise UserError("this is a directory, and a file is needed", where=str(path), hint=hint)
    if not os.path.isfile(path):  # also for a name that is too long
        raise UserError(missing, where=str(path), hint=hint)


def check_folder(path: Path) -> None:
    """Make a directory where there is none, and raise UserError unless files can be written there:
    before the work whose results it is for."""
    probe = Path(path) / f".probe.{os.getpid()}"
    try:
        write_bytes(probe, b"", flush=False)
    except UserError as error:
        error.where = str(path)
        raise
    probe.unlink()


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"not JSON: {error}", where=str(path), hint=_CORRECT) from error
    except RecursionError as error:
        raise UserError(TOO_DEEP, where=str(path), hint=_CORRECT) from error


def read_jsonl(path: Path) -> list[Any]:
    """All records of a JSON Lines file. Raises UserError naming the first line that is not JSON."""
    records = []
    # Not splitlines(): U+2028 and its like are legal inside a JSON string.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(
                f"not JSON: {error.msg} at column {error.colno}",
                where=f"{path}, line {number}",
                hint="correct the line: each line has to be one JSON value",
            ) from error
        except RecursionError as error:
            where = f"{path}, line {number}"
            raise UserError(TOO_DEEP, where=where, hint=_CORRECT) from error
    return records


SCRIPTS = Path(__file__).parents[2]
"""The folder that holds the package and the mains."""


def module_path(name: str) -> Path:
    """Path of a module of the project by its dotted name, for what is copied and not imported.

    Written out as a whole name in a string, the module is seen by the code digest.
    """
    return SCRIPTS / (name.replace(".", "/") + ".py")
