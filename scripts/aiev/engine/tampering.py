"""Finds outputs that this checkout did not make as they are: edited, damaged or copied in.

Snakemake looks at a file's time stamp, and of a directory at that of one file inside. A byte that
flipped in a checkpoint, or a line that somebody edited in an intermediate, would stay. So at the
start of a run every output is compared with the record of how it was made. Cheaply: what was read
before, and has the sizes and times that it had then, is not read again.

.aiev/seen.json          output -> its digest and its files' sizes and times when it was last read
.aiev/changed/<output>   what was found in an output's place; a person's work may be in it
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import BOOKKEEPING, of_path
from aiev.core.log import log
from aiev.engine.action import Action, key_of
from aiev.engine.codehash import PINNED
from aiev.engine.store import STORE, Store

METADATA = Path(".snakemake/metadata")
"""Where Snakemake keeps what each output was made with."""

SEEN = STORE / "seen.json"
QUARANTINE = STORE / "changed"


def signature(path: Path) -> dict[str, list[int]]:
    """Size in bytes and two times in ns of a file, or of every file of a directory.

    The time of its data can be set back by the user who changes it; that of its inode is set by
    the kernel.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    return {
        file.relative_to(path).as_posix(): [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        for file in files
        if file.name != BOOKKEEPING and file.is_file() and (stat := file.stat())
    }


def changed_outputs(run: str, remember: bool = True) -> list[Path]:
    """Outputs of `run`, and shared ones below resources/, whose bytes are not those that were made.

    One that is gone is not among them: Snakemake sees that itself.
    remember: write down what was read, so that the next call need not read it.
    """
    before = _seen()
    seen = dict(before)
    changed = []
    for path, record in _records(run):
        if "sha256" not in record or not path.exists():
            continue
        made = record["sha256"]
        found = {"files": signature(path), "sha256": made}
        if before.get(path.as_posix()) != found and of_path(path) != made:
            changed.append(path)
        else:
            seen[path.as_posix()] = found
    if remember and seen != before:
        write_json(SEEN, seen)
    return changed


def quarantine(path: Path) -> Path:
    """Move an output out of the way, so that it is made again, and return its new path.

    Raises UserError when it cannot be moved.
    """
    place, number = QUARANTINE / path, 1
    while place.exists():
        number += 1
        place = QUARANTINE / path.with_name(f"{path.name}.{number}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)  # by a copy where results/ is a link to another disk
    except OSError as error:
        raise UserError(
            f"this output was modified, and cannot be moved away: {error}",
            where=str(path),
            hint=f"move it away yourself, or free some space for {place}",
        ) from error
    return place


def quarantine_changed(run: str, only_look: bool) -> None:
    """Have every changed output of `run` made again, and warn; only warn if `only_look`."""
    for path in changed_outputs(run, remember=not only_look):
        _make_again(path, "was changed since it was made", only_look)


def _make_again(path: Path, why: str, only_look: bool) -> None:
    if only_look:
        log.warning("%s %s: a run would make it again", path, why)
    else:
        place = quarantine(path)
        log.warning(
            "%s %s: it will be rebuilt; the previous file was moved to %s", path, why, place
        )


def check_unrecorded(
    run: str, declared: Mapping[str, str], is_output: Callable[[str], bool], only_look: bool
) -> None:
    """Check outputs that nobody recorded: a person copied them in, perhaps from another checkout.

    A declared file is adopted if it has its digest. Everything else is made again, as nothing says
    what it is; what was there is moved to QUARANTINE. only_look: only warn.

    declared: path -> sha256 of the pinned external files.
    is_output: whether a rule makes the file or directory of that name.
    """
    for path in _unrecorded(run, declared, is_output):
        digest = declared.get(path.as_posix())
        if digest and of_path(path) == digest:
            if not only_look:
                _adopt(path, digest)
            continue
        why = "has other bytes than its declaration" if digest else "was not made in this checkout"
        _make_again(path, why, only_look)


def _unrecorded(
    run: str, declared: Mapping[str, str], is_output: Callable[[str], bool]
) -> Iterator[Path]:
    """Yield outputs that are there without a record; the inside of directories is theirs."""
    todo = [Path("results", run), Path("resources")]
    store = Store()
    while todo:
        folder = todo.pop()
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name[0] == "." or store.made(path):
                continue
            if path.as_posix() in declared or is_output(path.as_posix()):
                yield path
            elif path.is_dir():
                todo.append(path)


def _adopt(path: Path, digest: str) -> None:
    """Record a pinned file as if it had been fetched here."""
    action = Action("fetch_resource", PINNED, {}, {}, {"resource": [path]}, "")
    found = action.description()
    record = {**found, "key": key_of(found), "outputs": {"resource": [digest]}}
    Store().note(record, action)
    log.warning("%s was copied in: it has its declared sha256, and is not fetched again", path)


def invalidate_mtimes(run: str) -> None:
    """Have every job of `run` started again where Snakemake has lost its metadata.

    Without them it compares times only, and misses a parameter or a function that changed since.
    So each output gets a time before all inputs. The jobs find what they would make in the action
    store, as long as it still is the right thing.
    """
    if METADATA.is_dir() and any(METADATA.iterdir()):
        return
    for path, record in _records(run):
        # What is made of nothing is pinned by its digest, and is an input to the others.
        if any(record.get("input_paths", {}).values()):
            for place in (path, path / BOOKKEEPING):
                if place.exists():
                    os.utime(place, (1, 1))


def _records(run: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield outputs of `run` and shared ones, with the records of how they were made."""
    records = STORE / "made"
    for part in (f"results/{run}", "resources"):
        for place in sorted((records / part).rglob("*.json")):
            try:
                record = read_json(place)
            except UserError:
                continue  # a record that is damaged says nothing
            if isinstance(record, dict):
                yield place.relative_to(records).with_suffix(""), record


def _seen() -> dict[str, Any]:
    try:
        found = read_json(SEEN)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}
