"""What the Questioner is shown of a seed, by the seed's language."""

import asyncio

import pytest

from aiev.llm.ledger import Answer
from aiev.recipes.aiev_instruct.roles import Questioner, Sampling


class Recorder:
    """In place of a chat client: keeps the question, and answers one word."""

    async def complete(self, messages, **_):
        self.question = messages[-1]["content"]
        return Answer("Yes.", "stop", 1, 1)


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("python", "```python\nx = 1\n```\nThis code is for inspiration"),
        ("c++", "```c++\nx = 1\n```\nThis code is for inspiration"),
        ("text", "x = 1\n\nThis text is for inspiration"),
    ],
)
def test_a_seed_is_shown_as_what_it_is(language, shown):
    chat = Recorder()
    questioner = Questioner(chat, Sampling(0.7, 0.5, 0.95, 128, 320, 48), place=0)
    asyncio.run(questioner.propose("x = 1", 7, language))
    assert chat.question.startswith(shown)
