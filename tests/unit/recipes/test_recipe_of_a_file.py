"""A recipe from one file outside the package: chosen by its path, checked, hashed and run."""

import asyncio

import pytest
from scripted import seed_source

from aiev.core.files import SCRIPTS
from aiev.core.hashing import of_text
from aiev.engine.codehash import code_parts
from aiev.recipes import RECIPES
from aiev.recipes.base import Place, write_dialogues

OWN = '''
from pydantic import Field

from aiev.core.settings import Section


class Config(Section):
    greeting: str = Field("hello", description="What the dialogue says.")


class Recipe:
    """Writes a dialogue without a model."""

    Config = Config

    def __init__(self, params):
        self.greeting = params["dialogues"]["greeting"]

    async def write(self, chat, interpreter, seed, place):
        return {"id": place.dialogue_id(seed), "messages": [self.greeting]}
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def test_the_recipes_of_the_package():
    assert RECIPES.names() == ["aiev-instruct"]


def test_a_recipe_of_one_file_writes_dialogues(own):
    config = {"dialogues": {"recipe": own, "greeting": "hi"}}
    recipe = RECIPES.get(own)(config)
    texts = [seed_source("once_a"), seed_source("once_b")]
    seeds = [{"id": of_text(text)[:16], "text": text} for text in texts]

    async def write(seed, place):
        return await recipe.write(None, None, seed, place)

    written = asyncio.run(write_dialogues(seeds, write, 2, "teaching", 1, lambda _: None))
    assert [d["id"] for d in written] == [Place(2, "").dialogue_id(seed) for seed in seeds]
    assert written[0]["messages"] == ["hi"]


def test_its_code_counts_and_that_of_the_other_recipe_does_not(own):
    parts = code_parts(SCRIPTS / "write_dialogues.py", [RECIPES.source(own)])
    assert any(name.startswith("own.py") for name in parts)
    assert not any("aiev_instruct" in name for name in parts)
