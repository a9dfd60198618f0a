"""One job as data: what it reads, what it writes, and all that decides its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_json, of_path
from aiev.engine.codehash import ENGINE


@dataclass(frozen=True)
class Action:
    """What one job does: `inputs` maps a name to files or directories, in order."""

    rule: str
    code: str
    params: Mapping[str, Any]
    inputs: Mapping[str, list[Path]]
    outputs: Mapping[str, list[Path]]
    environment: str

    def __post_init__(self) -> None:
        missing = [str(p) for paths in self.inputs.values() for p in paths if not p.exists()]
        if missing:
            raise UserError("input does not exist", where=", ".join(missing))

    def description(self) -> dict[str, Any]:
        """All that decides the outputs; digests only, so that it holds on any machine."""
        return {
            "engine": ENGINE,
            "rule": self.rule,
            "code": self.code,
            "environment": self.environment,
            "params": dict(self.params),
            "inputs": {n: [of_path(p) for p in paths] for n, paths in self.inputs.items()},
            "outputs": {n: len(paths) for n, paths in self.outputs.items()},
        }


def key_of(description: Mapping[str, Any]) -> str:
    return of_json(dict(description))
