"""The most that one dialogue can ask for: what `aiev plan` takes as the upper bound."""

from collections.abc import Mapping
from typing import Any


def most_asked(dialogues: Mapping[str, Any]) -> tuple[int, int]:
    """Questions, and tokens of their answers, with every turn sampled as often as allowed.
    dialogues: the config's section."""
    lengths, answers, feedback = (
        dialogues[key] for key in ("sampling", "answers", "feedback_rounds")
    )
    # Independent solutions of the draft, and of the problem whose examples were corrected.
    voters = dialogues["solutions"] * (2 if dialogues["corrections"] else 1)
    solutions = answers * (1 + feedback) + voters
    descriptions = answers * feedback
    questions = answers + solutions + 1 + descriptions
    tokens = answers * lengths["problem_tokens"] + solutions * lengths["solution_tokens"]
    tokens += lengths["tests_tokens"] + descriptions * lengths["description_tokens"]
    return questions, tokens
