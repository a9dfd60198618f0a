"""The manifest: the digest of every artifact of a run, and how each was made.

It is the same bytes in every checkout that makes the same run. Beside it lies the same in a shape
that other tools read: an in-toto Statement with SLSA Provenance. (RO-Crate wants the date of
publication in every description, and two runs would never agree on it.)
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import BOOKKEEPING, of_file, of_path
from aiev.engine.store import Store

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD = "urn:autocoder:workflow:1"


def manifest(config: dict[str, Any], artifacts: Iterable[Path], environment: str) -> dict[str, Any]:
    """{"run", "config", "environment", "artifacts": {path: {"sha256", "rule", "action", "code",
    "params", "inputs"}}}.

    config: all that decides the run; environment: of aiev.environment.
    inputs: path -> digest, of files that may be artifacts themselves or pinned resources.
    Raises UserError for an artifact without a record of how it was made, or changed since.
    """
    return {
        "run": config["name"],
        "config": config,
        "environment": environment,
        "artifacts": {p.as_posix(): _made(p) for p in sorted(set(artifacts))},
    }


def _made(path: Path) -> dict[str, Any]:
    note, again = Store().made(path), f"delete {path} and run again"
    if note is None:
        raise UserError("no record of how this file was made", where=str(path), hint=again)
    if of_path(path) != note["sha256"]:
        raise UserError("changed since it was made", where=str(path), hint=again)
    return {
        "sha256": note["sha256"],
        "rule": note["rule"],
        "action": note["key"],
        "code": note["code"],
        "params": note["params"],
        "inputs": inputs_of(note),
    }


def inputs_of(note: dict[str, Any]) -> dict[str, str]:
    """Input path -> digest, of a note of how something was made."""
    inputs = {
        place: found
        for name, places in note["input_paths"].items()
        for place, found in zip(places, note["inputs"][name], strict=True)
    }
    return dict(sorted(inputs.items()))


def sources(artifacts: dict[str, Any]) -> dict[str, str]:
    """Path -> digest of all that went into the artifacts and is none of them."""
    inputs = {path: d for made in artifacts.values() for path, d in made["inputs"].items()}
    return {path: inputs[path] for path in sorted(inputs) if path not in artifacts}


def provenance(whole: dict[str, Any], pins: dict[str, str]) -> dict[str, Any]:
    """The manifest `whole` as an in-toto Statement v1 with SLSA Provenance v1, without times.

    A directory is named file by file, as other tools know digests of files only.
    pins: name -> digest of the files in envs/ that pin packages.
    """
    artifacts = whole["artifacts"]
    digests = _of_files({path: made["sha256"] for path, made in artifacts.items()})
    needed = {f"envs/{name}": digest for name, digest in pins.items()}
    needed |= _of_files(sources(artifacts))
    return {
        "_type": STATEMENT,
        "subject": _described(digests),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"config": whole["config"]},
                "internalParameters": {
                    path: {k: made[k] for k in ("rule", "action", "code")}
                    for path, made in artifacts.items()
                },
                "resolvedDependencies": _described(needed),
            },
            "runDetails": {"builder": {"id": BUILD}},
        },
    }


def _described(digests: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())]


def _of_files(digests: dict[str, str]) -> dict[str, str]:
    """The same with the files of each directory in its place."""
    found: dict[str, str] = {}
    for path, digest in digests.items():
        if not Path(path).is_dir():
            found[path] = digest
            continue
        files = (p for p in Path(path).rglob("*") if p.is_file() and p.name != BOOKKEEPING)
        found |= {file.as_posix(): of_file(file) for file in files}
    return found
