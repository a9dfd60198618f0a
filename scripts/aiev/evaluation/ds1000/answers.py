"""The code of an answer to a problem of DS-1000: what belongs in the place that the problem names.

Models write it between <code> and </code>, in a fenced block, or bare; a block may repeat the marks
of the problem's text.
"""

import textwrap

from aiev.languages.markdown import fenced

STARTS = ("### BEGIN SOLUTION", "BEGIN SOLUTION", "# SOLUTION START")
ENDS = ("### END SOLUTION", "# SOLUTION END", "END SOLUTION")


def code_of(answer: str, indentation: int) -> str:
    """The code of an answer, "" where there is none.

    indentation: columns of the place; code that begins at the margin is moved there.
    """
    text = _between(answer)
    for mark in STARTS:
        text = text.rpartition(mark)[2]
    for mark in ENDS:
        text = text.partition(mark)[0]
    text = text.removeprefix("<code>").partition("</code>")[0].strip("\n").rstrip()
    if not text:
        return ""
    first = next(line for line in text.split("\n") if line.strip())
    if indentation and first == first.lstrip():
        text = textwrap.indent(text, " " * indentation)
    return text + "\n"


def _between(answer: str) -> str:
    """What stands between the marks, or else in the first block of Python, or else all."""
    _, mark, after = answer.partition("<code>")
    if mark:
        inside = after.partition("</code>")[0]
        blocks = fenced(inside)
        return blocks[0].text if blocks else inside
    blocks = fenced(answer)
    own = [block for block in blocks if block.language == "python"] or blocks
    return own[0].text if own else answer


def cut(completion: str) -> str:
    """The code of a completion as DS-1000's authors take it: a model goes on after the place that
    it was to fill."""
    for end in ("</code>", *ENDS):
        completion = completion.partition(end)[0]
    completion = completion.replace("```python", "").partition("```")[0]
    return completion.replace("<code>", "")
