"""SHA-256 digests, as lower-case hex, of bytes, JSON values, files and directories."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, UTF-8 kept: equal values give equal text, 1 and 1.0 too.

    Raises ValueError for NaN and infinities, which JSON does not have.
    """
    return json.dumps(
        _with_whole_numbers(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def _with_whole_numbers(value: Any) -> Any:
    """The value with each float that is a whole number as that integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_whole_numbers(each) for each in value]
    return value


def of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def of_text(text: str) -> str:
    # Model-written text can hold lone surrogates, which strict UTF-8 refuses.
    return of_bytes(text.encode("utf-8", "surrogatepass"))


def of_json(value: Any) -> str:
    """Digest of the canonical JSON of `value`."""
    return of_text(canonical_json(value))


CACHED_BYTES = 2**20
"""Files from this size on are hashed once in a process, for as long as they do not change."""

SETTLED_NS = 2 * 10**9
"""Age of a file's last change, from which on the next one moves its times on any file system."""

_known: dict[tuple, str] = {}


def of_file(path: Path) -> str:
    """Digest of a file's bytes. Raises OSError."""
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        if stat.st_size < CACHED_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        # A file with the same inode, size and times, which the kernel sets, has the same bytes.
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in _known:
            start = time.time_ns()
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            # Times tick in steps: one that was written just now can change and keep them.
            if start - stat.st_ctime_ns < SETTLED_NS:
                return digest
            _known[key] = digest
        return _known[key]


BOOKKEEPING = ".snakemake_timestamp"
"""Left inside a directory by the workflow engine once its job is done: no part of the contents."""


def of_directory(path: Path) -> str:
    """Digest over the relative names and contents of all files below `path`; modes do not count."""
    files = sorted(p for p in Path(path).rglob("*") if p.is_file() and p.name != BOOKKEEPING)
    return of_json([[p.relative_to(path).as_posix(), of_file(p)] for p in files])


def of_path(path: Path) -> str:
    """Digest of a file's bytes or of a directory's contents."""
    return of_directory(path) if Path(path).is_dir() else of_file(path)
