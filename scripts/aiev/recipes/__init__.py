"""Recipes: ways to write dialogues, a folder each, with a class `Recipe` (docs/extending.md)."""

from aiev.core.registry import Registry

RECIPES = Registry("recipe", "aiev.recipes", "Recipe")
