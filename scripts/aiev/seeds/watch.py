"""What Snakemake watches of the seed sources on this machine."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from aiev.core.hashing import of_file, of_json

MAX_READ = 1_000_000
"""Larger files count by size and time of change, as Snakemake has it by default."""


def fingerprint(paths: Iterable[Path]) -> str:
    """Digest that changes when a file does, or a file in a directory; hidden ones do not count.

    It is one of the job's parameters, and the files are no inputs of the rule: Snakemake takes
    braces in the name of an input for a wildcard, and fails on bytes that are not UTF-8.
    """
    return of_json([[str(path), *_states(path)] for path in map(Path, paths)])


def _states(path: Path) -> Iterator[list[str]]:
    if not path.is_dir():
        yield ["", _state(path)]
        return
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and not any(part[0] == "." for part in name.parts):
            yield [name.as_posix(), _state(file)]


def _state(file: Path) -> str:
    try:
        known = file.stat()
        if known.st_size <= MAX_READ:
            return of_file(file)
        return f"{known.st_size} bytes, {known.st_mtime_ns}"
    except OSError as error:  # the job says what is wrong with it
        return error.strerror or "cannot be read"
