"""Files of tables read row by row, so that one bad row costs no other: JSON, CSV, Parquet.

What cannot be read is yielded as a `Tally` with the reason, or as `NOT_JSON`.
"""

import codecs
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from aiev.seeds.sources.base import Tally
from aiev.seeds.sources.rows import BOM, NOT_JSON

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
"""Endings of a compressed file, behind that of its format."""
JSON = (".jsonl", ".ndjson", ".json")
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, ValueError)
"""What reading a compressed file raises that was cut off, or is none."""


def json_lines(file: BinaryIO) -> Iterator[Any]:
    """Each row of JSON Lines that is not blank; NOT_JSON for one that is no JSON, or not in the
    file's encoding.

    A file of several that were put together has a BOM before each of their first rows.
    """
    encoding, errors = _encoding(file)
    for line in io.TextIOWrapper(file, encoding, errors, newline="\n"):
        line = line.lstrip(BOM)
        if not line.strip():
            continue
        try:
            line.encode("utf-8")  # a byte that could not be decoded is half a surrogate pair
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield NOT_JSON


def _encoding(file: BinaryIO) -> tuple[str, str]:
    """UTF-8, as JSON has to be, or UTF-16 where a BOM says so: some shells write no other. And
    what becomes of bytes that are none: something that no JSON text can hold."""
    start = file.read(2)
    file.seek(0)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16", "backslashreplace"
    return "utf-8", "surrogateescape"


def _json(file: BinaryIO) -> Iterator[Any]:
    """Rows of one array, one object, or JSON Lines under the name of a JSON file."""
    try:
        found = json.loads(file.read())
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        yield from found
    elif isinstance(found, dict):
        yield found
    else:
        file.seek(0)
        yield from json_lines(file)


def _separated(file: BinaryIO, delimiter: str) -> Iterator[Any]:
    """Rows of a CSV file; a row with more values than the header is counted as malformed."""
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    rows = csv.DictReader(text, delimiter=delimiter)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            row = {None: ""}
        yield Tally("snippet", "malformed-row") if None in row else row


def _parquet(file: BinaryIO) -> Iterator[Any]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
        yield from batch.to_pylist()


_READERS: Mapping[str, Callable[[BinaryIO], Iterator[Any]]] = {
    **dict.fromkeys((".jsonl", ".ndjson"), json_lines),
    ".json": _json,
    ".csv": lambda file: _separated(file, ","),
    ".tsv": lambda file: _separated(file, "\t"),
    ".parquet": _parquet,
}


def can_read(name: str) -> bool:
    """Whether a file of this name, or under this address, is one of those that `rows_of` reads."""
    return _format(name) in _READERS


def is_json(name: str) -> bool:
    """Whether a file of this name, or under this address, holds JSON."""
    return _format(name) in JSON


def is_remote(name: str) -> bool:
    """Whether it is an address, such as `hf://...`, and no path of this machine."""
    return "://" in name


def opened(place: str, name: str) -> BinaryIO:
    """Open a file, unpacked as its `name` says. place: its path, or an address for fsspec."""
    import fsspec
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.utils import infer_compression

    compression = infer_compression(name)
    if is_remote(place):
        return fsspec.open(place, "rb", compression=compression).open()
    return LocalFileSystem().open(place, "rb", compression=compression)


def rows_of(place: str, name: str) -> Iterator[Any]:
    """Rows of a file. place: its path or address; name: what tells its format.

    A file of this machine that cannot be opened, and one that cannot be read to its end, is counted
    as unreadable. Raises OSError where the network fails.
    """
    import pyarrow

    try:
        with opened(place, name) as file:
            yield from _READERS[_format(name)](file)
    except (*DAMAGED, pyarrow.ArrowException):
        yield Tally("file", "unreadable")
    except OSError:
        if is_remote(place):
            raise
        yield Tally("file", "unreadable")
    else:
        yield Tally("file", "read")


def _format(name: str) -> str:
    path = PurePosixPath(name)
    return PurePosixPath(path.stem if path.suffix in PACKED else path.name).suffix.lower()
