"""A JSON Lines file whose rows hold snippets."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from aiev.core.settings import Section
from aiev.seeds.sources.base import Snippet, Tally, rows_as_snippets


class RowSettings(Section):
    """Which rows of a table hold snippets, and in which field."""

    field: str = Field("text", description="Field of a row that holds the snippet.")
    language: str = Field(
        "python",
        description='Language of the snippets, in lower case; "text" for prose.',
    )
    language_field: str | None = Field(
        None, description="Field of a row that holds its snippet's language, where there is one."
    )
    filter: dict[str, str | int | bool | list[str | int]] = Field(
        {}, description="Use only rows whose field has this value, or one of these values."
    )


class Source:
    """The snippets in a JSON Lines file, each taken as it is."""

    class Config(RowSettings):
        """A JSON Lines file."""

        path: str = Field(description="The file.")

    @staticmethod
    def inputs(config: Mapping[str, Any]) -> list[Path]:
        """The file."""
        return [Path(config["path"])]

    @staticmethod
    def label(config: Mapping[str, Any], paths: Sequence[Path]) -> str:
        """The file's own name."""
        return paths[0].name

    @staticmethod
    def snippets(
        config: Mapping[str, Any], paths: Sequence[Path], limits: Mapping[str, Any], cache: Path
    ) -> Iterator[Snippet | Tally]:
        """The snippet of each row."""
        return rows_as_snippets(_rows(paths[0]), config, str(paths[0]))


def _rows(path: Path) -> Iterator[Any]:
    """Each row that is not blank; None for one that is no JSON or no UTF-8."""
    with open(path, "rb") as file:
        for number, line in enumerate(file):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
            if not line.strip():
                continue
            try:
                yield json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError):
                yield None
