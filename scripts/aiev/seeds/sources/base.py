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
import os
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from aiev.languages.python.functions import BROKEN, functions


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


class LocalSource:
    """Base of a source that reads the file or the directory that its key `path` names."""

    @staticmethod
    def inputs(config: Mapping[str, Any]) -> list[Path]:
        """The file or directory."""
        return [Path(config["path"])]

    @staticmethod
    def label(config: Mapping[str, Any], paths: Sequence[Path]) -> str:
        """Its own name."""
        return own_name(paths[0])


def own_name(path: Path) -> str:
    """The last part of a path, also of one such as `.`, without the rest of it."""
    return printable(Path(os.path.abspath(path)).name)


def decode_python(data: bytes) -> str:
    """Text of a Python source file, in the encoding that its BOM or its first two lines declare.

    Raises UnicodeError where the bytes are not in that encoding, or there is no such encoding.
    """
    try:
        # Python ends a line at any of the three line endings; this function at "\n" alone.
        lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        encoding, _ = tokenize.detect_encoding(lines.readline)
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
