"""Conversations that nobody watches: a benchmark's tasks, each solved with the interpreter on.

Their questions go through the ledger, as all questions of a run do.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiev.dataset.layout import Message, in_fence
from aiev.interpreter.session import Finished, Ran, Session
from aiev.interpreter.transcript import readable
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unanswerable


class Whole(list[str]):
    """An answer that comes in one piece."""

    finish_reason = ""

    def close(self) -> None:
        """It has been written already."""


@dataclass
class Recorded:
    """A session's model whose greedy answers are kept in the ledger; for threads beside `loop`.

    end_of_turn: a token that the server writes at an answer's end; "" where it writes none.
    tokens: read and written so far, of answers on record too. finish_reason: of the last answer.
    """

    client: ChatClient
    loop: asyncio.AbstractEventLoop
    max_tokens: int
    end_of_turn: str = ""
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    finish_reason: str = ""

    def stream(self, messages: Sequence[Message]) -> Whole:
        """The answer; an empty one to messages that the model cannot answer, such as too many."""
        asked = self.client.complete(messages, max_tokens=self.max_tokens)
        whole = Whole()
        try:
            answer = asyncio.run_coroutine_threadsafe(asked, self.loop).result()
        except Unanswerable as none:
            whole.finish_reason = self.finish_reason = none.reason
            return whole
        self.tokens[0] += answer.prompt_tokens
        self.tokens[1] += answer.completion_tokens
        text = answer.text
        whole.append(text.removesuffix(self.end_of_turn) if self.end_of_turn else text)
        whole.finish_reason = self.finish_reason = answer.finish_reason
        return whole


def solve(session: Session, question: str, extract: Callable[[str], str]) -> dict[str, Any]:
    """Ask the question, run what the model asks to be run, and find its solution.

    extract: the solution in a text, "" without one. Looked for in the last answer first, then in
    what was run, from the last run on; a turn that was cut off has none.
    Returns {"solution", "answer", "reason": why the turn ended, "runs": [{"said", "outcome",
    "result"}]}; the texts as the model wrote and read them.
    """
    runs, programs, reason = [], [], ""
    for event in session.ask(question):
        if isinstance(event, Ran):
            step = session.turns[-1].steps[-1]
            outcome = event.done.result.outcome
            runs.append({"said": step.said, "outcome": outcome, "result": step.result})
            programs.insert(0, in_fence(event.run.code, "python") if event.run.code else "")
        elif isinstance(event, Finished):
            reason = event.reason
    answer = session.turns[-1].answer or ""
    found = (extract(text) for text in (readable(answer), *programs) if text)
    solution = "" if reason == "cut-off" else next((each for each in found if each), "")
    return {"solution": solution, "answer": answer, "reason": reason, "runs": runs}
