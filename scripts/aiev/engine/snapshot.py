"""A run's own copy of its code and config, from which all of its jobs start.

Jobs may wait for hours in a queue while somebody edits the sources. So a run copies them when it
begins, and every command names the copy: one run never mixes old code and new. The copy is called
by the digest of all that is in it. The same sources are copied once, and a copy never changes.

.aiev/snapshots/<digest>/   Snakefile, rules/, scripts/, config/, envs/, and run.json: the config
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import write_json
from aiev.core.hashing import of_bytes, of_json

PLACE = Path(".aiev/snapshots")
SOURCES = ("Snakefile", "rules", "scripts", "config", "envs")
CONFIG = "run.json"
"""The config that the run was started with, its defaults filled in."""

UNUSED = 30 * 24 * 3600
"""Seconds after which no job waits for a copy any more, and the next new one removes it."""


def take_snapshot(basedir: Path, config: Mapping[str, Any]) -> Path:
    """Copy the sources in `basedir`, and `config`, unless that was done before; -> the copy."""
    files = _contents(basedir)
    digests = {name: of_bytes(data) for name, data in files.items()}
    place = PLACE.absolute() / of_json([digests, config])[:16]
    if not _is_whole(place, digests):
        PLACE.mkdir(parents=True, exist_ok=True)
        _remove_unused()
        shutil.rmtree(place, ignore_errors=True)
        _write(place, files, config)
    os.utime(place)
    return place


def _is_whole(place: Path, digests: Mapping[str, str]) -> bool:
    """Whether the sources in the copy are those: nobody has edited them, no cleaner taken one."""
    there = {name: of_bytes(data) for name, data in _contents(place).items()}
    return (place / CONFIG).exists() and there == digests


def same_sources(basedir: Path, snapshot: Path) -> None:
    """Raise UserError if what is read while a run begins was changed in that moment."""
    for path in [basedir / "Snakefile", *sorted((basedir / "rules").iterdir())]:
        copied = snapshot / path.relative_to(basedir)
        if path.is_file() and not (copied.exists() and copied.read_bytes() == path.read_bytes()):
            raise UserError("changed while the run began", where=str(path), hint="run again")


def _contents(basedir: Path) -> dict[str, bytes]:
    found = {}
    for name in SOURCES:
        top = basedir / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found[path.relative_to(basedir).as_posix()] = path.read_bytes()
    return found


def _write(place: Path, files: Mapping[str, bytes], config: Mapping[str, Any]) -> None:
    beside = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
    try:
        for name, data in files.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(data)
        write_json(beside / CONFIG, config)
        os.chmod(beside, 0o755)
        beside.rename(place)
    except OSError as error:
        if not (place / CONFIG).exists():
            what = f"cannot write: {error.strerror}"
            raise UserError(what, where=str(place), hint="free some space, run again") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _remove_unused() -> None:
    for place in PLACE.iterdir():
        if time.time() - place.stat().st_mtime > UNUSED:
            shutil.rmtree(place, ignore_errors=True)
