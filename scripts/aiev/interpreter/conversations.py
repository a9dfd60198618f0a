"""The conversations of a server, in its memory: each is known by an unguessable id, and ends when
it was idle for an hour or others take its place."""

import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiev.interpreter.listening import BadRequest
from aiev.interpreter.session import Session

MAX_CONVERSATIONS = 50
MAX_IDLE_SECONDS = 3600.0


@dataclass
class Conversation:
    """A conversation with a page. busy: held while an answer is written. allowed: the user's word
    on the run that waits for it."""

    session: Session
    busy: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)
    allowed: queue.Queue[dict[str, Any]] = field(default_factory=lambda: queue.Queue(1))
    used: float = field(default_factory=time.monotonic)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it for a block. Raises BadRequest where an answer is written."""
        if not self.busy.acquire(blocking=False):
            raise BadRequest("an answer is being written: stop it first", 409)
        try:
            yield
        finally:
            self.busy.release()


class Conversations:
    """Conversations by id. new_session: a session without a word said yet. limit: so many at a
    time."""

    def __init__(self, new_session: Callable[[], Session], limit: int = MAX_CONVERSATIONS):
        self._new_session, self._limit = new_session, limit
        self._known: OrderedDict[str, Conversation] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Id of a new conversation. The longest unused one goes where there are too many."""
        id = secrets.token_urlsafe(24)
        with self._lock:
            self._known[id] = Conversation(self._new_session())
            now = time.monotonic()
            for old, talk in list(self._known.items()):
                idle = now - talk.used > MAX_IDLE_SECONDS or len(self._known) > self._limit
                if idle and not talk.busy.locked() and old != id:
                    del self._known[old]
        return id

    def find(self, id: str) -> Conversation:
        """The conversation of that id. Raises BadRequest."""
        with self._lock:
            talk = self._known.get(id)
            if talk is None:
                raise BadRequest("this conversation is over: begin a new one", 404)
            talk.used = time.monotonic()
            self._known.move_to_end(id)
            return talk
