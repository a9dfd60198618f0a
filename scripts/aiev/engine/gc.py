"""Keeps .aiev below a size: what was not used for longest is removed first.

actions/     finished actions, except those that made files of this checkout
layers/      packages for the sandbox, unless a run is active here; made again when needed
scratch/     files of unfinished actions, unless a run is active: those a day old at any size
verify/      what `aiev verify` rebuilt and found to differ, unless it is active
oracles/     what benchmarks' own solutions return, a file a task
validated/   that `aiev score` found a benchmark's own solutions to pass, a file each
here/        that a run found it, on this machine
made/, code/ never: small, and what the manifest and `aiev why` tell of files of this checkout
writing/    never: locks of jobs
changed/     never: a person's work may be in it
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.engine.store import Store

OTHERS = ("layers", "scratch", "verify", "oracles", "validated", "here")
"""Directories of .aiev beside actions/ from which entries are removed."""
KEPT = ("made", "code", "changed", "writing")
"""Those from which none are."""

UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]iB|B|)")
_PART = ".part-"
_GONE = ".gone-"

ABANDONED = 24 * 3600
"""Seconds after which the writer of an unfinished entry is taken for dead. A copy of the largest
checkpoint to the slowest shared disk takes minutes; process numbers mean nothing on other hosts."""

NOBODY = MappingProxyType({})
RECORDED = "made files of this checkout (--all removes these too)"
USED = "used meanwhile"
FOREIGN = "another user's"
UNFINISHED = "of jobs that stopped within a day and can go on (--all removes these too)"


@dataclass
class Entry:
    """A directory or file that can be removed.

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
    store: Store, max_bytes: int, spare_recorded: bool = True, busy: Mapping[str, str] = NOBODY
) -> tuple[list[Entry], list[Entry]]:
    """Remove old entries until at most `max_bytes` are left: (removed, left).

    spare_recorded: keep what made a file of this checkout, or what a job can go on from.
    busy: what is active in this directory, by the kind of entry that stays for that reason: layers,
    scratch, verify. Removing others is safe beside running jobs: each goes in one rename, and a job
    that was just reading it makes it again.
    """
    start = time.time()
    sweep(store)
    recorded = keys_of(store) if spare_recorded else set()
    entries = [*entries_of(store), *(entry for kind in OTHERS for entry in others_of(store, kind))]
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


def _spared(
    entry: Entry, recorded: set[str], busy: Mapping[str, str], start: float, unfinished: bool
) -> str:
    if entry.kind == "actions":
        return RECORDED if entry.key in recorded else USED if entry.used >= start else ""
    unfinished = unfinished and entry.kind == "scratch"
    return busy.get(entry.kind) or (UNFINISHED if unfinished else "")


def sweep(store: Store) -> None:
    """Remove entries that dead writers left unfinished, and dead collectors half removed."""
    for path in [*store.root.glob(f"{_GONE}*"), *store.root.glob(f"*/{_GONE}*")]:
        _remove(path)
    parts = [path for kind in OTHERS for path in (store.root / kind).glob(".*.part")]
    for path in [*store.actions.glob("??/.*"), *parts]:
        with suppress(FileNotFoundError):  # its writer has just renamed it
            old = path.stat().st_mtime < time.time() - ABANDONED
            unfinished = path.name.startswith(_PART) or path.suffix == ".part"
            if path.name.startswith(_GONE) or (unfinished and old):
                _remove(path)


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
    """Yield the entries of another kind. Their time is set at each use, but for what is written to
    in its depth: there the newest file has it."""
    folder = store.root / kind
    for path in [folder] if kind == "verify" else folder.glob("[!.]*"):
        try:
            places = [path, *(path.rglob("*") if kind in ("scratch", "verify") else ())]
            used = max(place.lstat().st_mtime for place in places)
            yield Entry(path, size_of(path), used, kind)
        except FileNotFoundError:
            continue  # another collector's


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below; 0 where there is nothing."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


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
    _remove(gone)


def _remove(path: Path) -> None:
    """Remove as much as can be: what is left is swept later."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
