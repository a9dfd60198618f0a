"""Keeps the store of finished actions below a size: what was not used for longest goes first."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiev.action import Store
from aiev.errors import UserError
from aiev.records import read_json

UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]iB|B|)")
_PART = ".part-"
_GONE = ".gone-"

ABANDONED = 24 * 3600
"""Seconds after which a half-made entry has no writer any more. A copy of the largest checkpoint to
the slowest shared disk takes minutes; a process number says nothing about another machine's."""


@dataclass
class Entry:
    """A finished action: its size in bytes, and when it was last used (seconds since 1970)."""

    path: Path
    size: int
    used: float

    @property
    def key(self) -> str:
        return self.path.name


def bytes_of(text: str) -> int:
    """Bytes in `5GiB`, `500 MiB` or `1000`. Raises UserError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UserError(f"not a size: {text!r}", todo="write it as 20GiB, 500MiB or 0")
    return int(float(found[1]) * UNITS[found[2]])


def collect(store: Store, most: int, spare_noted: bool = True) -> tuple[list[Entry], list[Entry]]:
    """Remove actions until at most `most` bytes are left: (removed, kept).

    spare_noted: keep what made a file of this checkout, whatever its size. Safe beside running
    jobs: an entry goes in one rename, and whoever was just reading it makes the action again.
    """
    start = time.time()
    sweep(store)
    noted = keys_of(store) if spare_noted else set()
    entries = sorted(entries_of(store), key=lambda entry: entry.used)
    left = sum(entry.size for entry in entries)
    removed, kept = [], []
    for entry in entries:
        if left <= most or entry.key in noted or entry.used >= start:
            kept.append(entry)
            continue
        discard(entry.path)
        left -= entry.size
        removed.append(entry)
    return removed, kept


def sweep(store: Store) -> None:
    """Remove what dead writers and collectors left half-made or half-removed."""
    for path in store.actions.glob("??/.*"):
        old = path.stat().st_mtime < time.time() - ABANDONED
        if path.name.startswith(_GONE) or (path.name.startswith(_PART) and old):
            shutil.rmtree(path, ignore_errors=True)


def entries_of(store: Store) -> Iterator[Entry]:
    for path in store.actions.glob("??/*"):
        try:
            files = [file.stat() for file in path.rglob("*") if file.is_file()]
            used = (path / "action.json").stat().st_mtime
        except FileNotFoundError:
            continue  # another collector's, or damaged: found out at its next use
        if not path.name.startswith("."):
            yield Entry(path, sum(stat.st_size for stat in files), used)


def keys_of(store: Store) -> set[str]:
    """Actions that made what this checkout has."""
    keys = set()
    for note in (store.root / "made").rglob("*.json"):
        try:
            keys.add(read_json(note)["key"])
        except (UserError, LookupError, TypeError):
            continue
    return keys


def discard(path: Path) -> None:
    """Take an entry away at once, then its bytes."""
    gone = path.with_name(f"{_GONE}{path.name}.{os.getpid()}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)
