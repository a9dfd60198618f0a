"""Keeps .aiev below a size: what was not used for longest is removed first.

actions/   finished actions, except those that made files of this checkout
layers/    packages for the sandbox, unless a run is active here; made again when needed
scratch/   files of unfinished actions, unless a run is active: all that are a day old, at any size
changed/   never: a person's work may be in it
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.engine.store import Store

UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]iB|B|)")
_PART = ".part-"
_GONE = ".gone-"

ABANDONED = 24 * 3600
"""Seconds after which the writer of an unfinished entry is taken for dead. A copy of the largest
checkpoint to the slowest shared disk takes minutes; process numbers mean nothing on other hosts."""

RECORDED = "made files of this checkout (ALL=yes removes these too)"
USED = "used meanwhile"
FOREIGN = "another user's"
UNFINISHED = "of jobs that stopped within a day and can go on (ALL=yes removes these too)"


@dataclass
class Entry:
    """A directory that can be removed.

    size: bytes. used: when it was last used, seconds since 1970. kind: the directory of .aiev that
    it is in. spared: why it stays whatever its size, or "".
    """

    path: Path
    size: int
    used: float
    kind: str = "actions"
    spared: str = ""

    @property
    def key(self) -> str:
        return self.path.name


def bytes_of(text: str) -> int:
    """Bytes in `5GiB`, `500 MiB` or `1000`. Raises UserError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UserError(f"not a size: {text!r}", hint="write it as 20GiB, 500MiB or 0")
    return int(float(found[1]) * UNITS[found[2]])


def collect(
    store: Store, max_bytes: int, spare_recorded: bool = True, busy: str = ""
) -> tuple[list[Entry], list[Entry]]:
    """Remove old entries until at most `max_bytes` are left: (removed, left).

    spare_recorded: keep what made a file of this checkout, or what a job can go on from.
    busy: what is active in this directory; then layers and scratch stay. Removing actions is safe
    beside running jobs: each goes in one rename, and a job that was just reading it makes it again.
    """
    start = time.time()
    sweep(store)
    recorded = keys_of(store) if spare_recorded else set()
    entries = [*entries_of(store), *others_of(store, "layers"), *others_of(store, "scratch")]
    size = sum(entry.size for entry in entries)
    removed, left = [], []
    # Scratch first, as it goes at any size; then there may be room for the rest.
    for entry in sorted(entries, key=lambda entry: (entry.kind != "scratch", entry.used)):
        unfinished = spare_recorded and entry.used > start - ABANDONED
        entry.spared = _spared(entry, recorded, busy, start, unfinished)
        fits = size <= max_bytes and entry.kind != "scratch"
        if not entry.spared and not fits:
            try:
                discard(entry.path)
                size -= entry.size
                removed.append(entry)
                continue
            except PermissionError:
                entry.spared = FOREIGN
        left.append(entry)
    return removed, left


def _spared(entry: Entry, recorded: set[str], busy: str, start: float, unfinished: bool) -> str:
    if entry.kind == "actions":
        return RECORDED if entry.key in recorded else USED if entry.used >= start else ""
    return busy or (UNFINISHED if entry.kind == "scratch" and unfinished else "")


def sweep(store: Store) -> None:
    """Remove entries that dead writers left unfinished, and dead collectors half removed."""
    for path in store.root.glob(f"*/{_GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in store.actions.glob("??/.*"):
        with suppress(FileNotFoundError):  # its writer has just renamed it
            old = path.stat().st_mtime < time.time() - ABANDONED
            if path.name.startswith(_GONE) or (path.name.startswith(_PART) and old):
                shutil.rmtree(path, ignore_errors=True)


def entries_of(store: Store) -> Iterator[Entry]:
    """Yield the finished actions; unfinished ones have a dot in front of their names."""
    for path in store.actions.glob("??/[!.]*"):
        try:
            size = size_of(path)
            used = (path / "action.json").stat().st_mtime
        except (FileNotFoundError, PermissionError):
            continue  # another collector's, another user's, or damaged: found out at its next use
        yield Entry(path, size, used)


def others_of(store: Store, kind: str) -> Iterator[Entry]:
    """Yield layers, whose time is set at each use, or scratch, whose newest file has the time."""
    for path in (store.root / kind).glob("[!.]*"):
        try:
            places = [path, *(path.rglob("*") if kind == "scratch" else ())]
            used = max(place.lstat().st_mtime for place in places)
            yield Entry(path, size_of(path), used, kind)
        except FileNotFoundError:
            continue  # another collector's


def size_of(path: Path) -> int:
    """Bytes of all files below; 0 where there is nothing."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def keys_of(store: Store) -> set[str]:
    """Keys of the actions that made files of this checkout."""
    keys = set()
    for note in (store.root / "made").rglob("*.json"):
        try:
            keys.add(read_json(note)["key"])
        except (UserError, LookupError, TypeError):
            continue
    return keys


def discard(path: Path) -> None:
    """Rename an entry away, then remove it. Raises PermissionError for another user's."""
    gone = path.with_name(f"{_GONE}{path.name}.{os.getpid()}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)
