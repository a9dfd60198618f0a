"""A JSON Lines file whose rows hold snippets."""

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from aiev.seeds.sources.base import LocalSource, Snippet, Tally
from aiev.seeds.sources.rows import BOM, NOT_JSON, RowSettings, rows_as_snippets


class Source(LocalSource):
    """The snippets in a JSON Lines file, each taken as it is."""

    class Config(RowSettings):
        """A JSON Lines file."""

        path: str = Field(description="The file.")

    @staticmethod
    def snippets(
        config: Mapping[str, Any], paths: Sequence[Path], limits: Mapping[str, Any], cache: Path
    ) -> Iterator[Snippet | Tally]:
        """The snippet of each row."""
        return rows_as_snippets(_rows(paths[0]), config, str(paths[0]))


def _rows(path: Path) -> Iterator[Any]:
    """Each row that is not blank; NOT_JSON for one that is no JSON, or not in the file's encoding.

    A file of several that were put together has a BOM before each of their first rows.
    """
    encoding, errors = _encoding(path)
    with open(path, encoding=encoding, errors=errors, newline="\n") as file:
        for line in file:
            line = line.lstrip(BOM)
            if not line.strip():
                continue
            try:
                line.encode("utf-8")  # a byte that could not be decoded is half a surrogate pair
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield NOT_JSON


def _encoding(path: Path) -> tuple[str, str]:
    """UTF-8, as JSON has to be, or UTF-16 where a BOM says so: some shells write no other. And
    what becomes of bytes that are none: something that no JSON text can hold."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16", "backslashreplace"
    return "utf-8", "surrogateescape"
