"""The manifest: the digest of every artifact of a run, and how each was made."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiev.action import STORE
from aiev.digests import of_path
from aiev.errors import UserError
from aiev.records import read_json


def manifest(run: str, artifacts: Iterable[Path]) -> dict[str, Any]:
    """{"run", "artifacts": {path: {"sha256", "rule", "action", "code", "params", "inputs"}}}.

    inputs: path -> digest, of files that may be artifacts themselves or pinned resources.
    Raises UserError for an artifact that nobody knows how it was made, or that was changed since.
    """
    return {"run": run, "artifacts": {p.as_posix(): _made(p) for p in sorted(set(artifacts))}}


def _made(path: Path) -> dict[str, Any]:
    note = STORE / "made" / f"{path}.json"
    if not note.exists():
        raise UserError("no record of how this file was made", where=str(path), todo=_again(path))
    record, digest = read_json(note), of_path(path)
    if digest not in (d for digests in record["outputs"].values() for d in digests):
        raise UserError("changed since it was made", where=str(path), todo=_again(path))
    inputs = {
        place: found
        for name, places in record["input_paths"].items()
        for place, found in zip(places, record["inputs"][name], strict=True)
    }
    return {
        "sha256": digest,
        "rule": record["rule"],
        "action": record["key"],
        "code": record["code"],
        "params": record["params"],
        "inputs": dict(sorted(inputs.items())),
    }


def _again(path: Path) -> str:
    return f"delete {path} and run again"
