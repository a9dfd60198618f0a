"""A directory of Python files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from aiev.core.settings import Section
from aiev.seeds.sources.base import LocalSource, Snippet, Tally, python_functions


class Source(LocalSource):
    """The Python functions in a directory, without its hidden files."""

    class Config(Section):
        """A directory of Python files."""

        path: str = Field(description="The directory.")

    @staticmethod
    def snippets(
        config: Mapping[str, Any], paths: Sequence[Path], limits: Mapping[str, Any], cache: Path
    ) -> Iterator[Snippet | Tally]:
        """Functions of each Python file, in the order of the files' paths."""
        return python_functions(_files(paths[0]), limits)


def _files(folder: Path) -> Iterator[tuple[str, bytes | None]]:
    names = (path.relative_to(folder) for path in folder.rglob("*.py") if not path.is_dir())
    for name in sorted(n.as_posix() for n in names if not any(q[0] == "." for q in n.parts)):
        path = folder / name
        try:
            # A link to nothing has no bytes, and reading a pipe would wait for ever.
            yield name, path.read_bytes() if path.is_file() else None
        except OSError:
            yield name, None
