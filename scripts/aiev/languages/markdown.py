"""Fenced blocks of an answer."""

import re
from typing import NamedTuple

SHELLS = ("sh", "bash", "shell", "console")
"""Languages of the fenced blocks that are shell commands."""

_FENCE = re.compile(
    r"^[ \t]*```[ \t]*([^\s`]*)[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block. language: in lower case, "" without one. text: what the fence holds.
    start, end: characters of `unix(answer)` that the block takes with its fence."""

    language: str
    text: str
    start: int
    end: int


def unix(text: str) -> str:
    """The same lines as Python's parser counts them, each ended by one newline character."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fenced(answer: str) -> list[Block]:
    """Every fenced block of an answer, in order. One that the token limit cut off ends with it."""
    return [Block(m[1].lower(), m[2], *m.span()) for m in _FENCE.finditer(unix(answer))]
