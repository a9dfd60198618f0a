"""A JSON Lines file, compressed or not, whose rows hold snippets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from aiev.core.errors import UserError, hint_for
from aiev.seeds.sources.base import LocalSource, Snippet, Tally
from aiev.seeds.sources.rows import RowSettings, rows_as_snippets
from aiev.seeds.sources.tables import DAMAGED, json_lines, opened


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
    try:
        with opened(str(path), path.name) as file:
            yield from json_lines(file)
    except DAMAGED:
        yield Tally("file", "unreadable")
    except OSError as error:
        message = f"seed source cannot be read: {error.strerror or error}"
        raise UserError(message, where=str(path), hint=hint_for(error)) from error
