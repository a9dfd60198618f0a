"""What decides how a dialogue is written, as its job reads it from the config."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from aiev.recipes.aiev_instruct.prompt_sets import PromptSet, load
from aiev.recipes.aiev_instruct.settings import DialogueSettings

_loaded = cache(load)


class Settings(DialogueSettings):
    """The config's section `dialogues`, and what else decides a dialogue.

    run_seed: from which all sampling seeds derive. packages: whether the Programmer may have
    packages installed.
    """

    run_seed: int
    packages: bool = False

    @property
    def prompt_set(self) -> PromptSet:
        """Read once in a process: an edit during a job does not mix two sets in it."""
        return _loaded(self.prompts)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Settings":
        """From the config's keys `seed`, `dialogues` and `sandbox.packages`."""
        chosen = config["dialogues"]
        return cls(
            run_seed=config["seed"],
            packages=bool(config["sandbox"]["packages"]["allow"]),
            **{key: chosen[key] for key in DialogueSettings.model_fields if key in chosen},
        )
