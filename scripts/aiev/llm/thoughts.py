"""Thoughts of reasoning models: see `aiev.llm.responses.final_text`, which this names as before."""

from aiev.llm.responses import final_text


def without_thoughts(answer: str) -> str:
    """The answer without the model's thoughts and without white space around it."""
    return final_text(answer).strip()
