"""Config keys of seeds: where snippets come from, and which are used."""

from typing import Annotated, Any

from pydantic import Field

from aiev.core.chosen import Chosen
from aiev.core.settings import Section
from aiev.seeds.sources import SOURCES

LICENCES = [
    *("MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "Unlicense", "0BSD")
]


class SourceSettings(Section):
    """Keys that every kind of source has."""

    licence: str = Field(description="SPDX identifier of the source's licence.")


SOURCE = Chosen(SOURCES, "kind", shared=SourceSettings)


class SeedSettings(Section):
    """`seeds`."""

    sources: list[Annotated[dict[str, Any], SOURCE]] = Field(
        [{"kind": "wheel", "resource": "seeds-algorithms", "licence": "MIT"}],
        min_length=1,
        description="Sources of snippets, in this order; at least one.",
    )
    licences: list[str] = Field(
        LICENCES, description="SPDX identifiers of the licences that a source may have."
    )
    min_lines: int = Field(5, ge=1, description="Minimum number of lines of a function.")
    max_lines: int = Field(40, ge=1, description="Maximum number of lines of a function.")
    self_contained: bool = Field(
        False, description="Use only functions that need no other name of their module."
    )
    shards: int = Field(
        2, ge=1, description="Number of shards. A hash of a snippet's text decides its shard."
    )
    per_shard: int = Field(12, ge=1, description="Maximum number of seeds in a shard.")
