"""How a conversation with a code interpreter is written down (METHOD 3): the one template of
training data, of the interpreter and of whatever measures it.

Two layouts. In `turns`, the authors' own, the assistant's turn ends with the run, and the result
opens the user's next message:

    user       problem and request
    assistant  words <API_RUN_START>```python ... ```<API_RUN_STOP>
    user       <API_RES_START>result<API_RES_STOP>
    assistant  answer

In `inline` the result stands in the assistant's turn, which goes on after it:

    assistant  words <API_RUN_START>...<API_RUN_STOP><API_RES_START>result<API_RES_STOP> answer
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP

Layout = Literal["turns", "inline"]

_ELISION = "\n[...]\n"
_RUN = re.compile(f"{RUN_START}(.*?)(?:{RUN_STOP}|\\Z)", re.DOTALL)


class Message(TypedDict):
    """A message of the chat API."""

    role: Literal["system", "user", "assistant"]
    content: str


class Part(NamedTuple):
    """A piece of an answer: words, or the content of a pair of run tokens."""

    text: str
    is_run: bool


@dataclass(frozen=True)
class Step:
    """One run in an answer.

    said:   the assistant's text up to and with the last `<API_RUN_STOP>`.
    result: what the interpreter says, as `shortened` gives it.
    remark: what the user says to it, such as the error in words.
    """

    said: str
    result: str
    remark: str = ""


@dataclass(frozen=True)
class Turn:
    """What the user asks, and all that comes of it. answer: the assistant's last words; None while
    they are to be written."""

    asked: str
    steps: tuple[Step, ...] = ()
    answer: str | None = None


def render(turns: Sequence[Turn], layout: Layout) -> list[Message]:
    """The messages of a conversation.

    The last one of an unfinished conversation is the user's, or in `inline` the start of an answer
    that the model has to continue.
    """
    write = {"turns": _in_turns, "inline": _inline}[layout]
    return [message for turn in turns for message in write(turn)]


def run_block(language: str, code: str) -> str:
    """A block that is to be run, with its tokens, in a fence that is longer than any inside it."""
    return f"{RUN_START}{in_fence(code, language)}{RUN_STOP}"


def in_fence(text: str, language: str) -> str:
    """Text in a fence that is longer than any inside it."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def shortened(text: str, limit: int) -> str:
    """A result of at most `limit` characters; a longer one is cut in its middle."""
    text = text.strip("\n")
    if len(text) <= limit:
        return text
    half = max(0, limit - len(_ELISION)) // 2
    return text[:half] + _ELISION + text[len(text) - half :]


def parts_of(said: str) -> list[Part]:
    """Words and runs of an answer, in order. A run that is not closed ends with the answer."""
    parts, place = [], 0
    for run in _RUN.finditer(said):
        parts += [Part(said[place : run.start()], False), Part(run[1], True)]
        place = run.end()
    return [part for part in (*parts, Part(said[place:], False)) if part.is_run or part.text]


def _result(step: Step) -> str:
    return f"{RES_START}{step.result}{RES_STOP}"


def _in_turns(turn: Turn) -> Iterator[Message]:
    yield {"role": "user", "content": turn.asked}
    for step in turn.steps:
        yield {"role": "assistant", "content": step.said}
        remark = f"\n\n{step.remark}" if step.remark else ""
        yield {"role": "user", "content": _result(step) + remark}
    if turn.answer is not None:
        yield {"role": "assistant", "content": turn.answer}


def _inline(turn: Turn) -> Iterator[Message]:
    yield {"role": "user", "content": turn.asked}
    answer: list[str] = []
    for step in turn.steps:
        answer.append(step.said + _result(step))
        if step.remark:
            yield {"role": "assistant", "content": "\n\n".join(answer)}
            yield {"role": "user", "content": step.remark}
            answer.clear()
    if turn.answer is not None:
        answer.append(turn.answer)
    if answer:
        yield {"role": "assistant", "content": "\n\n".join(answer)}
