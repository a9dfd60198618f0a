"""AIEV-Instruct (arXiv 2405.14906): a Questioner and a Programmer, checked by running the code."""

from aiev.recipes.aiev_instruct.settings import DialogueSettings


class Recipe:
    """The recipe of the paper."""

    Config = DialogueSettings
