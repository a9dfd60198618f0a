"""The action store: a finished job's outputs, kept by the digest of all that decides them.

key = digest(rule, code, parameters, contents of the inputs, environment). A hit restores the
outputs, a miss runs the job and stores them. So a job that Snakemake starts again for a reason
that does not matter costs a copy, and an upstream job that made the same bytes costs nothing below.

Layout, under the checkout's .aiev/:
  actions/<key[:2]>/<key>/action.json, outputs by name   one finished action
  made/<output path>.json                                how a file in the working tree was made
  code/<digest>.json                                     the parts of the code that made it
  scratch/<key>/                                         what an unfinished action keeps for itself

Only `actions` may lie elsewhere: AUTOCODER_STORE names a directory that many checkouts share.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_path
from aiev.core.log import log
from aiev.engine.action import Action

STORE = Path(".aiev")
SHARED = "AUTOCODER_STORE"
"""Environment variable that names a shared directory of actions. It changes no output."""


class Store:
    """A directory of finished actions, safe with many writers: entries appear by one rename."""

    def __init__(self, root: Path = STORE, actions: Path | None = None):
        self.root = Path(root)
        self.actions = actions or self.root / "actions"

    def entry(self, key: str) -> Path:
        return self.actions / key[:2] / key

    def scratch(self, key: str) -> Path:
        path = self.root / "scratch" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def restore(
        self, key: str, outputs: Mapping[str, list[Path]], note_for: Action | None = None
    ) -> dict[str, Any] | None:
        """Put a finished action's outputs in place and return its record; None when not there.

        note_for: the action whose outputs they are, to note how they were made.
        An entry whose bytes no longer have their digests is removed, and counts as not there. So
        does one that is collected while it is copied, and one that cannot be read; that one stays,
        as it may be good, and others can read it. Raises OSError where there is no room for a copy.
        """
        entry = self.entry(key)
        stored = [
            (entry / f"{name}.{number}", path)
            for name, paths in outputs.items()
            for number, path in enumerate(paths)
        ]
        record = self._checked(key, outputs)
        if record is None:
            return None
        try:
            # It was used now, which garbage collection looks at. Only its owner can mark it.
            with suppress(PermissionError):
                os.utime(entry / "action.json")
            if note_for:
                self.note(record, note_for)
            for source, path in stored:
                place(source, path)
        except FileNotFoundError:
            return None
        # A directory that is emptied while it is listed looks like one with fewer files.
        return record if (entry / "action.json").exists() else None

    def _checked(self, key: str, outputs: Mapping[str, list[Path]]) -> dict[str, Any] | None:
        """The record of a stored action whose outputs have the digests that it says."""
        entry = self.entry(key)
        try:
            if not entry.exists():
                return None
            record = json.loads((entry / "action.json").read_bytes())
            intact = all(
                of_path(entry / f"{name}.{number}") == record["outputs"][name][number]
                for name, paths in outputs.items()
                for number in range(len(paths))
            )
        except (FileNotFoundError, LookupError, TypeError, ValueError, RecursionError):
            intact = False
        except OSError as error:
            log.info("stored action %s cannot be read: %s", key, error)
            return None
        if not intact:
            log.warning("stored action %s is damaged: made again", key)
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return record

    def save(self, key: str, description: dict[str, Any], made: Mapping[str, list[Path]]):
        """Store `made` outputs under `key`, and return the record with their digests."""
        record = dict(description)
        record["key"] = key
        record["outputs"] = {n: [of_path(p) for p in paths] for n, paths in made.items()}
        entry = self.entry(key)
        try:
            self._keep(entry, record, made)
        except (OSError, UserError, LookupError, TypeError) as error:
            # Another writer was first, the disk is full, or the place is another user's, who may
            # have left it damaged: the store is a help, never a need.
            log.info("action %s not stored: %s", key, error)
        return record

    def _keep(self, entry: Path, record: dict[str, Any], made: Mapping[str, list[Path]]) -> None:
        if (entry / "action.json").is_file():
            before = read_json(entry / "action.json")["outputs"]
            differ = [name for name in before if before[name] != record["outputs"].get(name)]
            if differ:
                key = record["key"]
                log.warning("not deterministic: action %s made other bytes: %s", key, differ)
            return
        entry.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".part-", dir=entry.parent))
        try:
            for name, paths in made.items():
                for number, path in enumerate(paths):
                    copy(path, beside / f"{name}.{number}")
            write_json(beside / "action.json", record)
            os.chmod(beside, 0o755)
            beside.rename(entry)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def note(self, record: Mapping[str, Any], action: Action) -> None:
        """Write how each of the action's outputs was made, for the manifest and for `why`."""
        paths = {n: [p.as_posix() for p in found] for n, found in action.inputs.items()}
        for name, outputs in action.outputs.items():
            for output, digest in zip(outputs, record["outputs"][name], strict=True):
                note = {**record, "input_paths": paths, "sha256": digest}
                write_json(self.place_of_note(output), note)

    def place_of_note(self, output: Path) -> Path:
        return self.root / "made" / f"{output}.json"

    def made(self, output: Path) -> dict[str, Any] | None:
        """How `output` was made when it last was; None when that is not known."""
        try:
            note = read_json(self.place_of_note(output))
        except UserError:
            return None
        return note if isinstance(note, dict) and "sha256" in note else None

    def compare(self, record: Mapping[str, Any], outputs: Mapping[str, list[Path]]) -> None:
        """Say by name which outputs the same action has just made with other bytes than before."""
        for name, paths in outputs.items():
            for path, digest in zip(paths, record["outputs"][name], strict=True):
                before = self.made(path)
                if before and before["key"] == record["key"] and before["sha256"] != digest:
                    log.warning(
                        "not deterministic: action %s made other bytes of %s", record["key"], path
                    )


def open_store() -> Store:
    """This checkout's store, with its actions where AUTOCODER_STORE says."""
    shared = os.environ.get(SHARED)
    return Store(actions=Path(shared) / "actions" if shared else None)


def copy(source: Path, target: Path) -> None:
    """Copy the bytes of a file or a directory; the target must not exist."""
    if source.is_dir():
        # Not shutil.copytree: its error does not say whether a file was gone or the disk was full.
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            copy(path, target / path.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def place(source: Path, target: Path) -> None:
    """Copy beside the target, then rename over it."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    remove(beside)
    try:
        copy(source, beside)
        move(beside, target)
    finally:
        remove(beside)


def move(source: Path, target: Path) -> None:
    """Rename over the target, whatever stands there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() or source.is_dir():
        remove(target)
    os.replace(source, target)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
