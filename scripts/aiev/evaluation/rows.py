"""Rows of benchmark files: JSON Lines, gzipped or not."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_jsonl


def read_rows(path: Path, hint: str) -> list[Any]:
    """The rows of a benchmark's file. Raises UserError, with the hint, for one that is damaged."""
    data = Path(path).read_bytes()
    if data[:2] != b"\x1f\x8b":
        return read_jsonl(path)
    try:
        return [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise UserError(f"not a readable benchmark: {error}", where=str(path), hint=hint) from error
