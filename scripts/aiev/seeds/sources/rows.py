"""What the sources share whose snippets stand in the rows of a table."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

from aiev.core.errors import UserError
from aiev.core.settings import Section
from aiev.seeds.sources.base import Snippet, Tally

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
NOT_JSON = object()
"""In the place of a row that could not be parsed: a row may be any JSON value, null too."""

_DEFINITION = re.compile(r"^\s*(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)


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


def rows_as_snippets(
    rows: Iterable[Any], config: Mapping[str, Any], where: str
) -> Iterator[Snippet | Tally]:
    """Snippets in the rows of a table, each taken as it is, and what was left out.

    rows: of any JSON type; a Tally in the place of one that could not be read is handed on.
    config: as in `RowSettings`. Raises UserError where no row at all has a field that the config
    names: that is a mistyped name, and not bad rows.
    """
    columns: set[str] = set()
    for row in rows:
        if isinstance(row, Tally):
            yield row
            continue
        columns.update(row if isinstance(row, dict) else ())
        yield _snippet(row, config)
    named = {"field": config["field"], "language_field": config["language_field"]}
    named |= {f"filter.{column}": column for column in config["filter"]}
    for key, column in named.items():
        if columns and column is not None and column not in columns:
            raise UserError(
                f"no row has the field {column!r}; the fields are {sorted(columns)}",
                where=where,
                hint=f"correct the source's `{key}`",
            )


def _snippet(row: Any, config: Mapping[str, Any]) -> Snippet | Tally:
    if not isinstance(row, dict):
        return Tally("snippet", "not-json" if row is NOT_JSON else "not-an-object")
    for column, allowed in config["filter"].items():
        choices = allowed if isinstance(allowed, list) else [allowed]
        if not any(_same(row.get(column), one) for one in choices):
            return Tally("snippet", "filtered")
    text = row.get(config["field"])
    if not isinstance(text, str):
        return Tally("snippet", "no-text")
    text = text.removeprefix(BOM)
    if not text.strip():
        return Tally("snippet", "empty-row")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair: no model and no other tool can read it
        return Tally("snippet", "not-unicode")
    name = _DEFINITION.search(text)
    language = row.get(config["language_field"]) if config["language_field"] else None
    named = isinstance(language, str) and language.strip()
    language = language.strip().lower() if named else config["language"]
    return Snippet(text, name[1] if name else "snippet", config["field"], language)


def _same(value: Any, wanted: str | int | bool) -> bool:
    """Whether two values are equal in JSON, where `true` is not 1."""
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
