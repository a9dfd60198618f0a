"""Config keys of the training data: decontamination and tags."""

from typing import Literal

from pydantic import Field

from aiev.core.settings import Section


class DecontaminationSettings(Section):
    """`decontamination`."""

    threshold: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Normalised Levenshtein similarity from which a dialogue is dropped "
        "(paper 0.9).",
    )


class TagSettings(Section):
    """`tags`."""

    layout: Literal["turns", "inline"] = Field(
        "turns",
        description="Where results stand: turns puts them into a message of the user, as the "
        "authors do; inline into the assistant's answer, which goes on after them.",
    )
    untagged_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of dialogues that are kept without a request to run code and without "
        "tags.",
    )
    result_chars: int = Field(
        1000,
        ge=20,
        description="Maximum number of characters of a result; a longer one is cut in its middle.",
    )
