"""Records what a run began with, so that it never mixes old code or config with new.

Jobs may wait for hours in a queue while somebody edits the sources. A run writes down its config
and the digests of its sources when it begins; a job that finds other sources than these ends, and
asks for the same command again. Jobs whose own code has not changed go on.

.aiev/run.json       of the newest run: see `Record`
.aiev/configs.json   of each run by name: the config file with which it was last begun
.aiev/code/*.json    the parts of the code of each digest, for `aiev why`
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_file, of_json
from aiev.engine.codehash import Sources, digest_of_parts
from aiev.engine.store import STORE

RECORD = STORE / "run.json"
CONFIGS = STORE / "configs.json"
CODE = STORE / "code"
RUN = "AIEV_RUN"
"""Environment variable with the name of the run that a job belongs to, on whatever host it is."""

INPUTS = ("config", "envs")
"""Folders of a checkout whose files may be inputs of jobs."""


@dataclass(frozen=True)
class Record:
    """What a run began with.

    run:         its name, which is in the environment of its jobs.
    config:      with all defaults filled in.
    rules:       digest of the Snakefile and of rules/.
    environment: digest of the pinned packages.
    code:        `code_key` of each main -> digest of its code.
    files:       path -> digest of the sources that may be inputs of jobs.
    """

    run: str
    config: dict[str, Any] = field(default_factory=dict)
    rules: str = ""
    environment: str = ""
    code: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def write_record(record: Record) -> None:
    write_json(RECORD, asdict(record))


def note_config(name: str, file: Path) -> None:
    """Write down with which config file a run was begun."""
    if _configs().get(name) != str(file):
        write_json(CONFIGS, {**_configs(), name: str(file)})


def other_config(name: str, file: Path) -> Iterator[str]:
    """A line for a run that was begun with another config file, which is still there: a copy that
    kept its `name` writes over the results of the first."""
    before = _configs().get(name, "")
    if os.path.isfile(before) and not os.path.samefile(before, file):
        yield (
            f"{file}: results/{name}/ is of {before}, which has the same name; what differs will "
            "be made again there. Change `name` to keep both"
        )


def _configs() -> dict[str, str]:
    try:
        return dict(read_json(CONFIGS))
    except (UserError, TypeError, ValueError):
        return {}


def newest_run() -> Record | None:
    """The record of the directory's newest run; None where there is none that can be read."""
    try:
        return Record(**read_json(RECORD))
    except (UserError, TypeError):
        return None


def own_run() -> Record | None:
    """The record of the run that this job belongs to; None for a job that is started by hand.

    Raises UserError when another run has begun since.
    """
    own, newest = os.environ.get(RUN), newest_run()
    if own and newest and own != newest.run:
        raise UserError(
            f"superseded: run {newest.run} began after run {own}, and this job was cancelled",
            where=str(RECORD),
            hint=f"nothing to do: run {newest.run} does this job's work",
        )
    return newest if own else None


def code_key(script: str, modules: Iterable[str]) -> str:
    """Name in a record for the code of a main and of what a registry loads for it."""
    return " ".join([script, *modules])


def recorded_code(sources: Sources, script: Path, modules: Iterable[str]) -> str:
    """Digest of a main's code, whose parts are written down for `aiev why`."""
    parts = sources.parts(script, modules)
    digest = digest_of_parts(parts, script.name)
    if not (CODE / f"{digest}.json").is_file():
        write_json(CODE / f"{digest}.json", parts)
    return digest


def rules_digest(checkout: Path) -> str:
    """Digest of the text of the Snakefile and of all rule files."""
    files = [checkout / "Snakefile", *sorted((checkout / "rules").glob("*.smk"))]
    return of_json([[path.name, of_file(path)] for path in files])


def input_digests(checkout: Path) -> dict[str, str]:
    """Digests of the sources that may be inputs, by their paths as rules name them."""
    paths = (p for name in INPUTS for p in sorted((checkout / name).rglob("*")) if p.is_file())
    return {os.path.relpath(path): of_file(path) for path in paths}


def check_unchanged(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise UserError if a source has another digest than when the run began.

    Both map what a job uses to digests; what `before` lacks is none of the run's sources.
    """
    changed = [name for name, digest in now.items() if before.get(name, digest) != digest]
    if changed:
        raise UserError(
            "the sources changed since the run began",
            where=", ".join(changed),
            hint="run the same command again: it works with the sources as they are now",
        )
