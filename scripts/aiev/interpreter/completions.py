"""Chat completions whose answers come with their code already run.

The chat API keeps no conversation: each request brings all of it. What its runs left behind, files
and packages, is kept here under what was said, so that a request that goes on from there has them;
one that goes on from an earlier place, or is asked again, has what was there then. Nobody else has:
the key holds the credential and the request's `user` too. Where nothing is kept any more, the words
are all there is.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from aiev.core.hashing import of_json
from aiev.dataset.layout import Message, Turn, in_fence
from aiev.dataset.tokens import TOKENS
from aiev.interpreter.listening import BadRequest
from aiev.interpreter.session import Finished, Ran, Said, Session, Stream
from aiev.interpreter.workspace import State
from aiev.llm.streaming import Sampling, StreamingClient

MAX_CHARACTERS = 1_000_000
"""Of all messages of a request."""


@dataclass(frozen=True)
class Asked:
    """A request. history: what was said before, in pairs of a question and its answer."""

    history: tuple[tuple[str, str], ...]
    question: str
    system: str
    sampling: Sampling
    owner: str
    stream: bool

    @property
    def key(self) -> str:
        """Of the conversation so far."""
        return key_of(self.owner, self.system, self.history)


def key_of(owner: str, system: str, history: Sequence[tuple[str, str]]) -> str:
    """Front ends trim what they show, so white space at the ends decides nothing."""
    return of_json([owner, system, [[one.strip(), two.strip()] for one, two in history]])


@dataclass(frozen=True)
class Kept:
    """A conversation at one place."""

    turns: tuple[Turn, ...]
    state: State
    at: float

    @property
    def size(self) -> int:
        steps = [step for turn in self.turns for step in turn.steps]
        said = sum(len(turn.asked) + len(turn.answer or "") for turn in self.turns)
        said += sum(len(step.said) + len(step.result) for step in steps)
        return said + len(self.state.variables) + sum(map(len, self.state.files.values()))


@dataclass
class Conversations:
    """What is kept, in memory: at most so many conversations, bytes and seconds; those that were
    used longest ago go first. Safe for many threads."""

    max_count: int = 200
    max_bytes: int = 512 << 20
    max_seconds: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: str) -> Kept | None:
        with self._lock:
            self._drop()
            if kept := self._kept.get(key):
                self._kept[key] = replace(kept, at=self.clock())
                self._kept.move_to_end(key)
            return kept

    def keep(self, key: str, turns: Sequence[Turn], state: State) -> None:
        with self._lock:
            self._kept[key] = Kept(tuple(turns), state, self.clock())
            self._kept.move_to_end(key)
            self._drop()

    def __len__(self) -> int:
        with self._lock:
            self._drop()
            return len(self._kept)

    def _drop(self) -> None:
        size = sum(kept.size for kept in self._kept.values())
        while self._kept:
            oldest = next(iter(self._kept.values()))
            fits = len(self._kept) <= self.max_count and size <= self.max_bytes
            if fits and self.clock() - oldest.at <= self.max_seconds:
                return
            size -= oldest.size
            self._kept.popitem(last=False)


class Sampled:
    """A model that answers one request. tokens: read and written for it."""

    def __init__(self, client: StreamingClient, sampling: Sampling):
        self.client, self.sampling = client, sampling
        self.streams: list[Any] = []

    def stream(self, messages: Sequence[Message]) -> Stream:
        self.streams.append(self.client.stream(messages, self.sampling))
        return self.streams[-1]

    @property
    def tokens(self) -> tuple[int, int]:
        counts = [stream.tokens for stream in self.streams]
        return sum(c[0] for c in counts), sum(c[1] for c in counts)


class WithoutTokens:
    """Takes the interpreter's tokens out of a text that comes in pieces."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, text: str) -> str:
        """What of the text can be shown now; what may become a token waits."""
        text = self._rest + text
        for token in TOKENS:
            text = text.replace(token, "")
        start = text.rfind("<")
        waits = start >= 0 and any(token.startswith(text[start:]) for token in TOKENS)
        self._rest = text[start:] if waits else ""
        return text[:start] if waits else text

    def end(self) -> str:
        rest, self._rest = self._rest, ""
        return rest


class Answering:
    """One answer under way. finish_reason and tokens are known at its end."""

    def __init__(self, session: Session, asked: Asked, kept: Conversations):
        self.session, self.asked, self.kept = session, asked, kept
        self.finish_reason = "stop"

    @property
    def tokens(self) -> tuple[int, int]:
        return self.session.model.tokens

    def pieces(self) -> Iterator[str]:
        """The text, with results in blocks of their own. Closing this stops the model; an answer
        that was stopped is not kept, since nobody has seen the whole of it."""
        shown: list[str] = []
        with closing(self._pieces()) as pieces:
            for piece in pieces:
                shown.append(piece)
                yield piece
        history = (*self.asked.history, (self.asked.question, "".join(shown)))
        key = key_of(self.asked.owner, self.asked.system, history)
        self.kept.keep(key, self.session.turns, self.session.state)

    def _pieces(self) -> Iterator[str]:
        words = WithoutTokens()
        with closing(self.session.ask(self.asked.question)) as events:
            for event in events:
                if isinstance(event, Said):
                    text = words.add(event.text)
                elif isinstance(event, Ran):
                    result = in_fence(event.shown, "text")
                    text = f"{words.end()}\n\nResult:\n\n{result}\n\n"
                else:
                    text = words.end()
                    self._note(event)
                if text:
                    yield text

    def _note(self, event: Finished) -> None:
        self.finish_reason = "length" if event.reason in ("cut-off", "max-runs") else "stop"


def read_request(body: Any, owner: str, defaults: Sampling) -> Asked:
    """The request of that body. Raises BadRequest."""
    if not isinstance(body, Mapping) or not isinstance(body.get("messages"), list):
        raise BadRequest("messages: a list of messages is needed")
    said = [_message(message) for message in body["messages"]]
    if sum(len(text) for _, text in said) > MAX_CHARACTERS:
        raise BadRequest(f"messages: more than {MAX_CHARACTERS} characters")
    system = "\n\n".join(text for role, text in said if role == "system")
    turns = [(role, text) for role, text in said if role != "system"]
    if not turns or turns[-1][0] != "user":
        raise BadRequest("messages: the last one has to be the user's")
    if body.get("n", 1) not in (1, None):
        raise BadRequest("n: one answer is given")
    owner = of_json([owner, str(body.get("user") or "")])
    return Asked(
        _pairs(turns[:-1]),
        turns[-1][1],
        system,
        _sampling(body, defaults),
        owner,
        bool(body.get("stream")),
    )


def _message(message: Any) -> tuple[str, str]:
    role = message.get("role") if isinstance(message, Mapping) else None
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant"):
        raise BadRequest("messages: roles are system, user and assistant")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = "\n".join(parts) if all(isinstance(part, str) for part in parts) else None
    if not isinstance(content, str):
        raise BadRequest("messages: content has to be text")
    return role, content


def _pairs(turns: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Questions with their answers; of several in a row, one is made."""
    pairs: list[tuple[str, str]] = []
    previous = "assistant"
    for role, text in turns:
        if role == "user" and previous == "assistant":
            pairs.append((text, ""))
        elif pairs:
            asked, answer = pairs[-1]
            own = asked if role == "user" else answer
            joined = f"{own}\n\n{text}" if own else text
            pairs[-1] = (joined, answer) if role == "user" else (asked, joined)
        else:
            pairs.append(("", text))
        previous = role
    return tuple(pairs)


def _sampling(body: Mapping[str, Any], defaults: Sampling) -> Sampling:
    longest = body.get("max_completion_tokens", body.get("max_tokens"))
    given = {"temperature": body.get("temperature"), "top_p": body.get("top_p")}
    given |= {"max_tokens": longest, "seed": body.get("seed")}
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        kinds = (int,) if name in ("max_tokens", "seed") else (int, float)
        if type(value) not in kinds or value < 0 or (name == "max_tokens" and value < 1):
            raise BadRequest(f"{name}: {value!r} is not possible")
    chosen["max_tokens"] = min(chosen.get("max_tokens", defaults.max_tokens), defaults.max_tokens)
    return replace(defaults, **chosen)


class Completions:
    """Answers requests. new_session: a session on a model, without a word said yet."""

    def __init__(
        self,
        client: StreamingClient,
        new_session: Callable[[Any], Session],
        kept: Conversations | None = None,
    ):
        self.client, self.new_session, self.kept = client, new_session, kept or Conversations()

    def answer(self, body: Any, owner: str) -> tuple[Asked, Answering]:
        """The request, and its answer, which has not begun. owner: whose conversations it may go
        on with. Raises BadRequest."""
        asked = read_request(body, owner, self.client.sampling)
        session = self.new_session(Sampled(self.client, asked.sampling))
        session.system = asked.system
        known = self.kept.find(asked.key) if asked.history else None
        words = [Turn(question, (), answer) for question, answer in asked.history]
        session.restore(known.turns if known else words, known.state if known else State())
        return asked, Answering(session, asked, self.kept)
