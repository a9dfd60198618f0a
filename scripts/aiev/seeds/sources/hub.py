"""A data set of the Hugging Face hub, or a directory that holds one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from aiev.core.errors import UserError
from aiev.seeds.sources.base import Snippet, Tally, own_name
from aiev.seeds.sources.rows import RowSettings, rows_as_snippets


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


def _rows(
    config: Mapping[str, Any], dataset: str, cache: Path, where: str
) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset  # takes a second to import
    from datasets.exceptions import DatasetsError

    try:
        rows: Iterable[dict[str, Any]] = load_dataset(
            dataset,
            config["config"],
            split=config["split"],
            revision=config["revision"],
            data_dir=config["data_dir"],
            data_files=config["data_files"],
            streaming=config["streaming"],
            cache_dir=str(cache),
        )
        # Within the same `try`: a streamed data set is read as its rows are asked for.
        yield from islice(rows, config["max_rows"])
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        # The library's own words for a file that it cannot parse say nothing; their cause does.
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise UserError(
            f"cannot load the data set: {reason}",
            where=where,
            hint="check the network and the keys that name it: revision, split, config, data_dir, "
            "data_files; of a JSON Lines file with broken rows, the kind `jsonl` uses the others",
        ) from error
