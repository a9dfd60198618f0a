"""AIEV-Instruct (arXiv 2405.14906): a Questioner and a Programmer, checked by running the code."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiev.recipes.aiev_instruct.settings import DialogueSettings

if TYPE_CHECKING:
    from aiev.core.types import Dialogue, Seed
    from aiev.languages.interpreter import Interpreter
    from aiev.llm.client import ChatClient
    from aiev.recipes.base import Place


class Recipe:
    """The recipe of the paper.

    params: the config's keys `seed`, `dialogues` and `sandbox`.
    """

    Config = DialogueSettings

    def __init__(self, params: Mapping[str, Any]):
        from aiev.recipes.aiev_instruct.options import Settings

        self.settings = Settings.of(params)

    @staticmethod
    def modules(dialogues: Mapping[str, Any]) -> list[str]:
        """The prompt set, for the code digest. dialogues: the config's section."""
        from aiev.recipes.aiev_instruct.prompt_sets import source

        return [source(dialogues["prompts"])]

    @staticmethod
    def parameters(dialogues: Mapping[str, Any]) -> dict[str, Any]:
        """Sampling parameters of its questions, as `ChatClient.complete` takes them, with the
        longest of its answers: for the question before the run. dialogues: the config's section."""
        sampling = dialogues["sampling"]
        lengths = [value for key, value in sampling.items() if key.endswith("_tokens")]
        temperature, top_p = sampling["questioner_temperature"], sampling["top_p"]
        return {"temperature": temperature, "top_p": top_p, "max_tokens": max(lengths)}

    @staticmethod
    def most_asked(dialogues: Mapping[str, Any]) -> tuple[int, int]:
        """Most questions, and tokens of their answers, for one dialogue. dialogues: the config's
        section."""
        from aiev.recipes.aiev_instruct.most_asked import most_asked

        return most_asked(dialogues)

    async def write(
        self, chat: "ChatClient", interpreter: "Interpreter", seed: "Seed", place: "Place"
    ) -> "Dialogue":
        """One dialogue from one seed. Raises EndpointError where the server fails."""
        from aiev.recipes.aiev_instruct.dialogue import write_dialogue

        return await write_dialogue(seed, chat, interpreter, self.settings, place)
