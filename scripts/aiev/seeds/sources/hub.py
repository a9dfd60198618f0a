"""A data set of the Hugging Face hub, or a directory that holds one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.seeds.sources.base import Snippet, Tally, own_name
from aiev.seeds.sources.rows import RowSettings, rows_as_snippets
from aiev.seeds.sources.tables import can_read, is_json, is_remote, rows_of


class Source:
    """The snippets in a data set, each taken as it is."""

    class Config(RowSettings):
        """A data set of the Hugging Face hub."""

        dataset: str = Field(description="Name of the data set, or a directory that holds one.")
        config: str | None = Field(None, description="Configuration of the data set.")
        revision: str | None = Field(
            None,
            pattern="^[0-9a-f]{40}$",
            description="Commit of the data set, 40 hexadecimal digits: a branch or tag can move. "
            "A data set in a directory needs none.",
        )
        data_dir: str | None = Field(None, description="Folder of the data set to read.")
        data_files: str | list[str] | None = Field(
            None, description="Files of the data set to read, as paths or patterns."
        )
        split: str = Field("train", description="Split of the data set.")
        streaming: bool = Field(
            False, description="Read rows over the network, and download no files."
        )
        max_rows: int | None = Field(
            None, ge=1, description="Maximum number of rows to read; null for all."
        )

        @model_validator(mode="after")
        def _pinned(self):
            if self.revision is None and not Path(self.dataset).is_dir():
                raise ValueError(
                    f"the data set {self.dataset!r} needs a `revision`: the 40 hexadecimal digits "
                    "of a commit, from its page's history on the hub"
                )
            return self

    @staticmethod
    def inputs(config: Mapping[str, Any]) -> list[Path]:
        """The directory of a data set on this machine; nothing for one on the hub."""
        path = Path(config["dataset"])
        return [path] if path.is_dir() else []

    @staticmethod
    def label(config: Mapping[str, Any], paths: Sequence[Path]) -> str:
        """Name and revision; of a directory its last part, as no path enters an artifact."""
        if paths:
            return own_name(paths[0])
        return f"{config['dataset']} {config['revision']}"

    @staticmethod
    def snippets(
        config: Mapping[str, Any], paths: Sequence[Path], limits: Mapping[str, Any], cache: Path
    ) -> Iterator[Snippet | Tally]:
        """The snippet of each row."""
        where = f"seeds.sources: hub {config['dataset']}"
        rows = _rows(config, str(paths[0]) if paths else config["dataset"], cache, where)
        return rows_as_snippets(rows, config, where)


def _rows(config: Mapping[str, Any], dataset: str, cache: Path, where: str) -> Iterator[Any]:
    """Rows of the data set. JSON files are read row by row: the `datasets` library ends the whole
    process at a first row that is null, and takes texts for dates. It reads all other files; where
    it refuses them for a row in them, they are read row by row too."""
    from datasets import load_dataset, load_dataset_builder  # takes a second to import

    named = {key: config[key] for key in ("revision", "data_dir", "data_files")}
    named |= {"path": dataset, "name": config["config"], "cache_dir": str(cache)}
    files, read = [], 0
    try:
        found = load_dataset_builder(**named).config
        files = [str(name) for name in (found.data_files or {}).get(config["split"], [])]
        if files and all(map(is_json, files)) and not getattr(found, "field", None):
            yield from _part(_rows_of(files, config["streaming"], cache), 0, config["max_rows"])
            return
        rows = load_dataset(**named, split=config["split"], streaming=config["streaming"])
        # Within the same `try`: a streamed data set is read as its rows are asked for.
        for row in islice(rows, config["max_rows"]):
            yield row
            read += 1
    except Exception as error:  # the library lets through whatever its many readers raise
        readable = files and all(map(can_read, files)) and not all(map(is_json, files))
        if not readable or not _is_of_a_file(error, dataset):
            raise _unloadable(error, where) from error
        log.warning("%s: %s; its files are read row by row", where, _reason(error))
        # It has refused none of the rows so far; those are the same here.
        yield from _part(_rows_of(files, True, cache), read, config["max_rows"])


def _rows_of(files: Sequence[str], streaming: bool, cache: Path) -> Iterator[Any]:
    """Rows of the files, one after another. What lies elsewhere is downloaded first, as the library
    does it, or read over the network."""
    from datasets import DownloadConfig, DownloadManager

    places = list(files)
    if not streaming and any(map(is_remote, files)):
        settings = DownloadConfig(cache_dir=str(cache / "downloads"))
        places = DownloadManager(download_config=settings).download(places)
    for place, name in zip(places, files, strict=True):
        yield from rows_of(place, name)


def _part(rows: Iterable[Any], first: int, end: int | None) -> Iterator[Any]:
    """The rows from number `first` to before `end`; counts of files are no rows."""
    number = 0
    for row in rows:
        if isinstance(row, Tally) and row.unit == "file":
            yield row
            continue
        if end is not None and number >= end:
            return
        if number >= first:
            yield row
        number += 1


def _is_of_a_file(error: Exception, dataset: str) -> bool:
    """Whether what the library failed at may be in the files: else it is the network."""
    return Path(dataset).is_dir() or not isinstance(error.__cause__ or error, OSError)


def _unloadable(error: Exception, where: str) -> UserError:
    return UserError(
        f"cannot load the data set: {_reason(error)}",
        where=where,
        hint="check the network and the keys that name it: revision, split, config, data_dir, "
        "data_files",
    )


def _reason(error: Exception) -> str:
    """The library's own words for a file that it cannot parse say nothing; their cause does."""
    return f"{error}: {error.__cause__}" if error.__cause__ else str(error)
