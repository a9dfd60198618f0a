"""Keeps .aiev below a size: what was not used for longest goes first.

actions/   finished actions, but for those that made what this checkout has
layers/    packages for the sandbox, while nothing runs in this directory: they can be made again
scratch/   what unfinished actions kept, while nothing runs here: all that nobody has gone on from
           for a day, whatever the size
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
"""Seconds after which a half-made entry has no writer any more. A copy of the largest checkpoint to
the slowest shared disk takes minutes; a process number says nothing about another machine's."""


NOTED = "made files of this checkout (ALL=yes removes these too)"
USED = "used meanwhile"
FOREIGN = "another user's"
UNFINISHED = "of jobs that stopped within a day and can go on (ALL=yes removes these too)"


@dataclass
class Entry:
    """One thing that may go: its size in bytes, and when it was last used (seconds since 1970).

    kind: the directory of .aiev that it is in. spared: why it stays whatever its size, or "".
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
    store: Store, most: int, spare_noted: bool = True, busy: str = ""
) -> tuple[list[Entry], list[Entry]]:
    """Remove what is old until at most `most` bytes are left: (removed, kept).

    spare_noted: keep what made a file of this checkout, or may be gone on from, whatever its size.
    busy: what works in this directory; then layers and scratch stay. Actions are safe beside
    running jobs: one goes in one rename, and a job that was just reading it makes it again.
    """
    start = time.time()
    sweep(store)
    noted = keys_of(store) if spare_noted else set()
    entries = [*entries_of(store), *others_of(store, "layers"), *others_of(store, "scratch")]
    left = sum(entry.size for entry in entries)
    removed, kept = [], []
    # Scratch first, as it goes at any size; then there may be room for the rest.
    for entry in sorted(entries, key=lambda entry: (entry.kind != "scratch", entry.used)):
        unfinished = spare_noted and entry.used > start - ABANDONED
        entry.spared = _spared(entry, noted, busy, start, unfinished)
        if entry.spared or (left <= most and entry.kind != "scratch"):
            kept.append(entry)
            continue
        try:
            discard(entry.path)
        except PermissionError:
            entry.spared = FOREIGN
            kept.append(entry)
            continue
        left -= entry.size
        removed.append(entry)
    return removed, kept


def _spared(entry: Entry, noted: set[str], busy: str, start: float, unfinished: bool) -> str:
    if entry.kind == "actions":
        return NOTED if entry.key in noted else USED if entry.used >= start else ""
    return busy or (UNFINISHED if entry.kind == "scratch" and unfinished else "")


def sweep(store: Store) -> None:
    """Remove what dead writers and collectors left half-made or half-removed."""
    for path in store.root.glob(f"*/{_GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in store.actions.glob("??/.*"):
        with suppress(FileNotFoundError):  # its writer has just renamed it
            old = path.stat().st_mtime < time.time() - ABANDONED
            if path.name.startswith(_GONE) or (path.name.startswith(_PART) and old):
                shutil.rmtree(path, ignore_errors=True)


def entries_of(store: Store) -> Iterator[Entry]:
    # Without dots: what is half-made is closed to all but its writer.
    for path in store.actions.glob("??/[!.]*"):
        try:
            size = size_of(path)
            used = (path / "action.json").stat().st_mtime
        except (FileNotFoundError, PermissionError):
            continue  # another collector's, another user's, or damaged: found out at its next use
        yield Entry(path, size, used)


def others_of(store: Store, kind: str) -> Iterator[Entry]:
    """Layers, which are marked when they are used; scratch, whose newest file tells."""
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
    """Actions that made what this checkout has."""
    keys = set()
    for note in (store.root / "made").rglob("*.json"):
        try:
            keys.add(read_json(note)["key"])
        except (UserError, LookupError, TypeError):
            continue
    return keys


def discard(path: Path) -> None:
    """Take an entry away at once, then its bytes. Raises PermissionError for another user's."""
    gone = path.with_name(f"{_GONE}{path.name}.{os.getpid()}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)
