"""Config keys of dialogues that all recipes have."""

from typing import Annotated

from pydantic import Field

from aiev.core.chosen import known_in
from aiev.core.settings import Section
from aiev.languages import LANGUAGES


class SharedSettings(Section):
    """`dialogues`, beside the keys of the recipe."""

    language: Annotated[str, known_in(LANGUAGES)] = Field(
        "python",
        description="Language of the programs that dialogues run: python, or a Python file of your "
        "own with a class Language, for a recipe that writes programs in it.",
    )
