"""Reasoning models think aloud: their thoughts are no part of what they answer."""

import re

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def without_thoughts(answer: str) -> str:
    """The answer that follows the thoughts, "" where the token limit cut it off in them.

    Chat templates of some models put the opening tag into the prompt, so that the answer starts in
    mid-thought: all up to a closing tag without an opening one goes, too.
    """
    rest = _THOUGHTS.sub("", answer)
    return rest.rpartition("</think>")[2].strip("\n")
