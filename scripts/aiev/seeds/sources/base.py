"""What every kind of seed source has, and what several of them share.

A source is a class `Source` with a config model `Config` and three static methods, in a file of its
own in this package, or in any file that the config names (`kind: my/source.py`):

    inputs(config) -> list[Path]
        Files and directories that it reads. They are in the job's key: an edit in them mines again.
        A source whose config has a key `resource` finds that declared file in front of them.
    label(config, paths) -> str
        Its name in artifacts, without a path of this machine.
    snippets(config, paths, limits, cache) -> Iterator[Snippet | Tally]
        What it holds. paths: the files of `inputs`; limits: the section `seeds`; cache: a directory
        for downloads. What it leaves out it reports as a Tally with the reason.
"""

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from aiev.core.errors import UserError
from aiev.languages.python.functions import BROKEN, functions

_DEFINITION = re.compile(r"^\s*(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """One snippet. path: its place in the source; language: of its text, or "text" for prose."""

    text: str
    name: str
    path: str
    language: str = "python"


@dataclass(frozen=True)
class Tally:
    """A file or a snippet to count: a file as "read", or why a file or snippet is not used."""

    unit: Literal["file", "snippet"]
    reason: str


def decode_python(data: bytes) -> str:
    """Text of a Python source file, in the encoding that its BOM or its first two lines declare.

    Raises UnicodeError where the bytes are not in that encoding, or there is no such encoding.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, LookupError, UnicodeError) as error:
        raise UnicodeError(str(error)) from error


def python_functions(
    files: Iterable[tuple[str, bytes | None]], limits: Mapping[str, Any]
) -> Iterator[Snippet | Tally]:
    """The functions in Python files that make good seeds, and what was left out.

    files: (path inside the source, bytes), None for a file that could not be read.
    """
    own = {key: limits[key] for key in ("min_lines", "max_lines", "self_contained")}
    for name, data in files:
        if is_test_file(name):
            yield Tally("file", "test-file")
        elif data is None:
            yield Tally("file", "unreadable")
        else:
            yield from _functions_of(printable(name), data, own)


def _functions_of(name: str, data: bytes, limits: Mapping[str, Any]) -> Iterator[Snippet | Tally]:
    try:
        found = list(functions(decode_python(data), **limits))
    except UnicodeError:  # before BROKEN, which has its base class
        yield Tally("file", "encoding-error")
        return
    except BROKEN:
        yield Tally("file", "syntax-error")
        return
    yield Tally("file", "read")
    for function in found:
        if function.reason:
            yield Tally("snippet", function.reason)
        else:
            yield Snippet(function.text, function.name, name)


def is_test_file(name: str) -> bool:
    path = PurePosixPath(name)
    in_tests = {"test", "tests", "testing"} & {part.lower() for part in path.parts[:-1]}
    named = path.stem.startswith("test_") or path.stem.endswith("_test")
    return bool(in_tests) or named or path.name in ("test.py", "tests.py", "conftest.py")


def printable(name: str) -> str:
    r"""A file's name as valid text: a byte that is not UTF-8 becomes `\xe9`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def rows_as_snippets(
    rows: Iterable[Any], config: Mapping[str, Any], where: str
) -> Iterator[Snippet | Tally]:
    """Snippets in the rows of a table, each taken as it is, and what was left out.

    config: {field, language, language_field, filter}. A row that is None could not be parsed.
    Raises UserError where no row at all has the field: that is a mistyped name, not bad rows.
    """
    seen, columns = 0, set()
    for row in rows:
        seen += isinstance(row, dict)
        columns.update(row if isinstance(row, dict) else ())
        yield _snippet(row, config)
    if seen and config["field"] not in columns:
        raise UserError(
            f"no row has the field {config['field']!r}; the fields are {sorted(columns)}",
            where=where,
            hint="set the source's `field` to the one that holds the snippets",
        )


def _snippet(row: Any, config: Mapping[str, Any]) -> Snippet | Tally:
    if not isinstance(row, dict):
        return Tally("snippet", "not-json" if row is None else "not-an-object")
    for column, allowed in config["filter"].items():
        if row.get(column) not in (allowed if isinstance(allowed, list) else [allowed]):
            return Tally("snippet", "filtered")
    text = row.get(config["field"])
    if not isinstance(text, str):
        return Tally("snippet", "no-text")
    if not text.strip():
        return Tally("snippet", "empty-row")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair: no model and no other tool can read it
        return Tally("snippet", "not-unicode")
    name = _DEFINITION.search(text)
    language = row.get(config["language_field"]) if config["language_field"] else None
    language = language.lower() if isinstance(language, str) else config["language"]
    return Snippet(text, name[1] if name else "snippet", config["field"], language)
