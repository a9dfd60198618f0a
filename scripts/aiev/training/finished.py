"""What any job may do with a finished checkpoint: check its digest, and leave nothing of this
machine in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, read_text, write_json
from aiev.core.hashing import of_path

_PATH_KEYS = (
    "_name_or_path",
    "_model_name_or_path",
    "name_or_path",
    "is_local",
    "local_files_only",
)


def check_digest(checkpoint: Path, digest: Path) -> None:
    """Raise UserError where the directory is not the one whose digest was written to a file."""
    expected, found = read_text(digest).strip(), of_path(checkpoint)
    if found != expected:
        raise UserError(
            f"not the checkpoint that was trained: its sha256 is {found}, not {expected}",
            where=str(checkpoint),
            hint="run again: the changed directory is moved away and the stored one comes back",
        )


def scrub(
    checkpoint: Path,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
) -> None:
    """Take paths of this machine out of a checkpoint's JSON files, and set the given keys in
    config.json and generation_config.json.

    All files become readable for others: safetensors writes its own for the owner alone.
    """
    for path in checkpoint.iterdir():
        path.chmod(0o644)
    changes = {"config.json": config, "generation_config.json": generation}
    for name in (*changes, "tokenizer_config.json"):
        path = checkpoint / name
        if path.is_file():
            before = read_json(path)
            after = {k: v for k, v in before.items() if k not in _PATH_KEYS}
            after.update(changes.get(name) or {})
            if after != before:
                write_json(path, after)
