"""Reasoning models think aloud: their thoughts are no part of what they answer."""


def without_thoughts(answer: str) -> str:
    """The answer that follows the thoughts, "" where the token limit cut it off in them.

    Chat templates of some models put the opening tag into the prompt, so that an answer starts in
    mid-thought: everything up to the last `</think>` goes, with or without an opening tag.
    """
    return answer.rpartition("</think>")[2].partition("<think>")[0].strip("\n")
