"""A pinned wheel, which is read as an archive and never installed."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from aiev.core.errors import UserError
from aiev.core.settings import Section
from aiev.seeds.sources.base import Snippet, Tally, python_functions


class Source:
    """The Python functions in a wheel."""

    class Config(Section):
        """A pinned wheel."""

        resource: str = Field(description="Declared file: the wheel.")

    @staticmethod
    def inputs(config: Mapping[str, Any]) -> list[Path]:
        """Nothing beside the declared file."""
        return []

    @staticmethod
    def label(config: Mapping[str, Any], paths: Sequence[Path]) -> str:
        """`more-itertools 11.2.1` of more_itertools-11.2.1-py3-none-any.whl."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        (path,) = paths
        try:
            parse_wheel_filename(path.name)
        except InvalidWheelFilename as error:
            hint = "declare it in resources.yaml as `file` under the name that its registry gives"
            where = str(path)
            raise UserError(f"not the name of a wheel: {error}", where=where, hint=hint) from error
        project, version = path.name.split("-")[:2]
        return f"{project.replace('_', '-')} {version}"

    @staticmethod
    def snippets(
        config: Mapping[str, Any], paths: Sequence[Path], limits: Mapping[str, Any], cache: Path
    ) -> Iterator[Snippet | Tally]:
        """Functions of each Python file, read straight from the archive."""
        return python_functions(_files(paths[0]), limits)


def _files(path: Path) -> Iterator[tuple[str, bytes | None]]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        hint = "name a file that ends in .whl, or use another kind of source"
        raise UserError(f"not a wheel: {error}", where=str(path), hint=hint) from error
    with archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".py")):
            try:
                yield name, archive.read(name)
            # A damaged member, an encrypted one, a compression that Python does not know.
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError):
                yield name, None
