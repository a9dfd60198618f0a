"""Recipes: ways to write dialogues, a folder each, with a class `Recipe` (docs/extending.md)."""

from collections.abc import Mapping
from typing import Any

from aiev.core.registry import Registry

RECIPES = Registry("recipe", "aiev.recipes", "Recipe")


def modules_of(dialogues: Mapping[str, Any]) -> list[str]:
    """What the code digest of a job that writes dialogues must follow: the recipe, and what its own
    keys choose, such as prompts. dialogues: the config's section."""
    recipe = RECIPES.get(dialogues["recipe"])
    chosen = recipe.modules(dialogues) if hasattr(recipe, "modules") else []
    return [RECIPES.source(dialogues["recipe"]), *chosen]
