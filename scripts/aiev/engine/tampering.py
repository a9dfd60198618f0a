"""Outputs that were changed after they were made, by whomever: found, and put aside.

The workflow engine looks at a file's time stamp, and of a directory at that of one file inside. A
byte that flipped in a checkpoint, or a line that somebody mended in an intermediate, would stay. So
at the start of a run every output is compared with the note of how it was made. Cheaply: what was
once read, and has the sizes and times that it had then, is not read again.

.aiev/seen.json          output -> its digest and its files' sizes and times when it was last read
.aiev/changed/<output>   what was found in an output's place; a person's work may be in it
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import BOOKKEEPING, of_path
from aiev.core.log import log
from aiev.engine.store import STORE

ENGINE = Path(".snakemake/metadata")
"""Where the workflow engine keeps what each output was made with."""

SEEN = STORE / "seen.json"
CHANGED = STORE / "changed"


def signature(path: Path) -> dict[str, list[int]]:
    """Size in bytes and two times in ns of a file, or of every file of a directory.

    The time of its data can be set back by whoever changes it; that of its inode is the kernel's.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    return {
        file.relative_to(path).as_posix(): [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        for file in files
        if file.name != BOOKKEEPING and file.is_file() and (stat := file.stat())
    }


def changed_outputs(run: str, remember: bool = True) -> list[Path]:
    """Outputs of `run`, and shared ones below resources/, whose bytes are not those that were made.

    One that is gone is not among them: the workflow engine sees that itself.
    remember: write down what was read, so that the next call need not read it.
    """
    before = _seen()
    seen = dict(before)
    changed = []
    for path, made in _noted(run):
        if not path.exists():
            continue
        found = {"files": signature(path), "sha256": made}
        if before.get(path.as_posix()) != found and of_path(path) != made:
            changed.append(path)
        else:
            seen[path.as_posix()] = found
    if remember and seen != before:
        write_json(SEEN, seen)
    return changed


def put_aside(path: Path) -> Path:
    """Move a changed output out of the way, so that it is made again, and return its new place.

    Raises UserError when that cannot be.
    """
    place, number = CHANGED / path, 1
    while place.exists():
        number += 1
        place = CHANGED / path.with_name(f"{path.name}.{number}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)  # by a copy where results/ is a link to another disk
    except OSError as error:
        raise UserError(
            f"an output was changed since it was made, and cannot be put aside: {error}",
            where=str(path),
            hint=f"move it out of the way yourself, or free some space for {place}",
        ) from error
    return place


def restore_changed(run: str, only_look: bool) -> None:
    """Have every changed output of `run` made again, and say so; only say so if `only_look`."""
    for path in changed_outputs(run, remember=not only_look):
        if only_look:
            log.warning("%s was changed since it was made: a run would make it again", path)
        else:
            place = put_aside(path)
            log.warning("%s was changed since it was made: it is made again.", path)
            log.warning("  What was there is kept as %s", place)


def distrust_times(run: str) -> None:
    """Have every job of `run` started again where the workflow engine has lost its records.

    Without them it compares times only, and misses a parameter or a function that changed since.
    So each output gets a time before all inputs. The jobs find what they would make in the action
    store, as long as it still is the right thing.
    """
    if ENGINE.is_dir() and any(ENGINE.iterdir()):
        return
    for path, note in _notes(run):
        # What is made of nothing is pinned by its digest, and is an input to the others.
        if any(note.get("input_paths", {}).values()):
            for place in (path, path / BOOKKEEPING):
                if place.exists():
                    os.utime(place, (1, 1))


def _noted(run: str) -> list[tuple[Path, str]]:
    """Outputs that are noted, and the digests that they were made with."""
    return [(path, note["sha256"]) for path, note in _notes(run) if "sha256" in note]


def _notes(run: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Outputs of `run` and shared ones, with the notes of how they were made."""
    notes = STORE / "made"
    for part in (f"results/{run}", "resources"):
        for place in sorted((notes / part).rglob("*.json")):
            try:
                note = read_json(place)
            except UserError:
                continue  # a note that is damaged says nothing
            if isinstance(note, dict):
                yield place.relative_to(notes).with_suffix(""), note


def _seen() -> dict[str, Any]:
    try:
        found = read_json(SEEN)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}
