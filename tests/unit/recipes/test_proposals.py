"""What the Questioner is shown of a seed, by the seed's language."""

import asyncio

import pytest

from aiev.llm.ledger import Answer
from aiev.recipes.aiev_instruct.prompt_sets import load
from aiev.recipes.aiev_instruct.roles import Questioner
from aiev.recipes.aiev_instruct.settings import Sampling
from aiev.recipes.verification.contract import read_contract


class Recorder:
    """In place of a chat client: keeps the question, and answers one word."""

    async def complete(self, messages, **_):
        self.question = messages[-1]["content"]
        return Answer("Yes.", "stop", 1, 1)


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("python", "```python\nx = 1\n```\nInspired by what this code does"),
        ("c++", "```c++\nx = 1\n```\nInspired by what this code does"),
        ("text", "x = 1\n\nInspired by the subject of this text"),
    ],
)
def test_a_seed_is_shown_as_what_it_is(language, shown):
    chat = Recorder()
    questioner = Questioner(chat, Sampling(), load("small"), place=0)
    asyncio.run(questioner.propose("x = 1", 7, language))
    assert chat.question.startswith(shown)


def path_depth(path):
    return len([name for name in path.split("/") if name])


def total_weight(items, weights):
    return sum(weights.get(item, 1) for item in items)


@pytest.mark.parametrize(("name", "reference"), [("example", path_depth), ("second", total_weight)])
def test_the_examples_that_the_questioner_is_shown_are_true(name, reference):
    contract = read_contract(load("small").texts[f"propose_{name}.md"])
    assert contract.flaw == "" and contract.entry_point == reference.__name__
    assert len(contract.examples) == 3
    for example in contract.examples:
        exec(example.check, {reference.__name__: reference})
