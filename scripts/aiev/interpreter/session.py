"""A conversation with a model that has a code interpreter.

The model writes until its answer asks for a run; the run happens in the sandbox once the user
allows it; the model reads the result and goes on, up to `max_runs` times.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from aiev.dataset.layout import Message, Step, Turn, shortened
from aiev.interpreter.triggers import Trigger
from aiev.interpreter.workspace import Done, Run, State, Workspace
from aiev.llm.responses import is_cut_off
from aiev.llm.thoughts import final_text

Reason = Literal["answered", "declined", "max-runs", "cut-off"]


class Stream(Protocol):
    """An answer that is being written. finish_reason: known at its end."""

    finish_reason: str

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None:
        """Stop the model; the rest is lost."""


class Model(Protocol):
    """Writes answers."""

    def stream(self, messages: Sequence[Message]) -> Stream:
        """An answer to these messages. Raises EndpointError."""


@dataclass(frozen=True)
class Said:
    """The model has written more of its answer."""

    text: str


@dataclass(frozen=True)
class Ran:
    """A run has ended. shown: what the model reads of it."""

    run: Run
    done: Done
    shown: str


@dataclass(frozen=True)
class Finished:
    """The assistant's turn has ended, and why."""

    reason: Reason


Event = Said | Ran | Finished


@dataclass
class Rights:
    """What the user is asked. run: the code as it may run, which the user may have changed, or None
    for not at all. install: whether these requirements may be installed."""

    run: Callable[[Run], Run | None] = lambda run: run
    install: Callable[[tuple[str, ...]], bool] = lambda _: True


@dataclass
class Session:
    """One conversation; its user's thread alone may use it.

    max_runs:     of one turn. result_chars: of a result that the model reads, as in training.
    system:       what the model is told before the conversation.
    state:        files and packages, as the last run left them.
    turns:        what was said; the last one is unfinished while it is written.
    """

    model: Model
    workspace: Workspace
    trigger: Trigger
    rights: Rights = field(default_factory=Rights)
    max_runs: int = 8
    result_chars: int = 1000
    system: str = ""
    state: State = field(default_factory=State)
    turns: list[Turn] = field(default_factory=list)
    _before: list[State] = field(default_factory=list)

    def ask(self, text: str) -> Iterator[Event]:
        """Say something, and hear what comes of it until the assistant's turn ends.

        Closing the iterator, or an exception in it such as KeyboardInterrupt, stops the model or
        the run; what was written and run so far stays in the conversation.
        """
        self._before.append(self.state)
        self.turns.append(Turn(text))
        said: list[str] = []
        try:
            yield Finished((yield from self._turn(said)))
        finally:
            turn = self.turns[-1]
            if turn.answer is None:
                self.turns[-1] = replace(turn, answer=final_text("".join(said)))

    def undo(self) -> str | None:
        """Take back the last turn, with what its runs did; its question, None without one."""
        if not self.turns:
            return None
        self.state = self._before.pop()
        return self.turns.pop().asked

    def reset(self) -> None:
        """Start over: no messages, files or packages."""
        self.turns.clear()
        self._before.clear()
        self.state = State()

    def restore(self, turns: Sequence[Turn], state: State) -> None:
        """Go on from these turns. What they did to files before the last one is not known: a turn
        that is taken back leaves the files as they are."""
        self.turns, self.state = list(turns), state
        self._before = [state] * len(self.turns)

    def messages(self) -> list[Message]:
        """The conversation as the model reads it."""
        return self.trigger.messages(self.turns, self.system)

    def _turn(self, said: list[str]) -> Iterator[Event]:
        """Answers and runs up to the end of the turn, and why it ended. said: receives the text of
        the answer under way."""
        last = None
        for number in range(self.max_runs + 1):
            cut_off = yield from self._answer(said)
            run = self.trigger.run_of(final_text("".join(said)))
            if cut_off or run is None or run == last:
                return "cut-off" if cut_off else "answered"
            if number == self.max_runs:
                return "max-runs"
            allowed = self.rights.run(run)
            if allowed is None:
                return "declined"
            text = final_text("".join(said))
            if allowed != run:
                text = text.replace(run.code or run.shell, allowed.code or allowed.shell, 1)
            done = self.workspace.run(self.state, allowed, self.rights.install)
            last, self.state = run, done.state
            shown = shortened(done.text, self.result_chars)
            step = Step(self.trigger.closed(text), shown)
            self.turns[-1] = replace(self.turns[-1], steps=(*self.turns[-1].steps, step))
            said.clear()
            yield Ran(allowed, done, shown)
        raise AssertionError("a turn has at most max_runs runs")

    def _answer(self, said: list[str]) -> Iterator[Event]:
        """Let the model write until its answer ends, or has to wait for a run; whether it was cut
        off at the limit of tokens."""
        with closing(self.model.stream(self.messages())) as stream:
            for text in stream:
                whole = "".join(said) + text
                end = self.trigger.end_of(whole)
                if end is not None:
                    text = text[: len(text) - (len(whole) - end)]
                said.append(text)
                yield Said(text)
                if end is not None:
                    return False
        return is_cut_off(stream.finish_reason)
