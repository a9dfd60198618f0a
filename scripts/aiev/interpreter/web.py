"""The interpreter in a browser: a page that is served here, and what it asks for.

The page is our own and loads nothing from elsewhere. It puts what models, programs and users wrote
into itself as text alone, and its content security policy allows no other script than its own.
Files go up and down as bytes. Only the page that began a conversation has its id.
"""

import json
import queue
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import unquote

from aiev.core.errors import UserError
from aiev.interpreter import listening, page, transcript
from aiev.interpreter.completions import WithoutTokens
from aiev.interpreter.conversations import MAX_CONVERSATIONS, Conversation, Conversations
from aiev.interpreter.listening import BadRequest, Gone
from aiev.interpreter.session import Event, Ran, Rights, Said, Session
from aiev.interpreter.workspace import Run, State, with_file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
EXPORTS = {
    "json": transcript.as_json,
    "md": transcript.as_markdown,
    "ipynb": transcript.as_notebook,
}
MAX_WAIT_SECONDS = 600.0
"""For the user's word on a run."""


class Handler(listening.Handler):
    """One connection."""

    server: "WebServer"
    types = ("application/json", "application/octet-stream")

    def do_GET(self) -> None:
        if self.path in page.ASSETS:
            name, kind = page.ASSETS[self.path]
            content = (page.FOLDER / name).read_bytes()
            self._send_bytes(content, f"{kind}; charset=utf-8", policy=True)
        else:
            self._api("GET")

    def do_POST(self) -> None:
        self._api("POST")

    def do_PUT(self) -> None:
        self._api("PUT")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: addresses hold the ids of conversations."""

    def _api(self, method: str) -> None:
        if self.refused():
            return
        parts = [unquote(part) for part in self.path.split("/")]
        try:
            match method, parts:
                case "POST", ["", "api", "sessions"]:
                    self.read_json()
                    known = {"id": self.server.conversations.begin(), "model": self.server.model}
                    self.send_value(200, known)
                case _, ["", "api", "sessions", id, *rest]:
                    self._route(self.server.conversations.find(id), method, rest)
                case _:
                    raise BadRequest("there is no such page", 404)
        except BadRequest as error:
            self.send_failure(error.status, str(error))
        except (Gone, ConnectionError, TimeoutError):
            self.close_connection = True

    def _route(self, talk: Conversation, method: str, rest: list[str]) -> None:
        match method, rest:
            case "POST", ["messages"]:
                self._answer(talk, self._object())
            case "POST", ["stop"]:
                self.read_json()
                talk.stopped.set()
                self.send_value(200, {})
            case "POST", ["allow"]:
                self._allow(talk, self._object())
            case "POST", ["back"]:
                self._back(talk, self._object())
            case "PUT", ["files", name]:
                self._upload(talk, name)
            case "GET", ["files", name]:
                if name not in talk.session.state.files:
                    raise BadRequest(f"there is no file {name!r}", 404)
                self._send_bytes(talk.session.state.files[name], "application/octet-stream")
            case "GET", [name] if name.removeprefix("export.") in EXPORTS:
                text = EXPORTS[name.removeprefix("export.")](talk.session)
                self._send_bytes(text.encode("utf-8", "replace"), "application/octet-stream")
            case _:
                raise BadRequest("there is no such page", 404)

    def _object(self) -> dict[str, Any]:
        value = self.read_json()
        if not isinstance(value, dict):
            raise BadRequest("the request is no JSON object")
        return value

    def _allow(self, talk: Conversation, said: dict[str, Any]) -> None:
        try:
            talk.allowed.put_nowait(said)
        except queue.Full:
            raise BadRequest("nothing waits to be allowed", 409) from None
        self.send_value(200, {})

    def _back(self, talk: Conversation, said: dict[str, Any]) -> None:
        """Take back this turn and all after it."""
        turn = said.get("turn")
        if type(turn) is not int or turn < 0:
            raise BadRequest("turn: a number is needed")
        with talk.alone():
            while len(talk.session.turns) > turn:
                talk.session.undo()
            files = files_of(talk.session.state)
        # Not before others may have the conversation: the page's next request may come at once.
        self.send_value(200, {"files": files})

    def _upload(self, talk: Conversation, name: str) -> None:
        content = self.read_bytes()
        with talk.alone():
            session = talk.session
            try:
                session.state = with_file(session.state, name, content, session.workspace.max_bytes)
            except UserError as error:
                raise BadRequest(error.message) from None
            files = files_of(session.state)
        self.send_value(200, {"files": files})

    def _answer(self, talk: Conversation, said: dict[str, Any]) -> None:
        """The answer to a message, as one JSON object a line, while it is written."""
        text = said.get("text")
        if not isinstance(text, str) or not text.strip():
            raise BadRequest("text: a message is needed")
        with talk.alone():
            if not self.server.busy.acquire(timeout=self.server.wait_seconds):
                raise BadRequest("the server is busy: try again later", 429)
            try:
                self._begin_lines()
                self._write_answer(talk, text, bool(said.get("asks", True)))
            finally:
                self.server.busy.release()

    def _write_answer(self, talk: Conversation, text: str, asks: bool) -> None:
        talk.stopped.clear()
        talk.session.rights = self._rights(talk) if asks else Rights()
        words, before = WithoutTokens(), dict(talk.session.state.files)
        try:
            with closing(talk.session.ask(text)) as events:
                for event in events:
                    self._show(event, words, before)
                    if talk.stopped.is_set():
                        return self._line(ended="stopped")
        except UserError as error:
            talk.session.undo()
            self._line(error={"message": str(error)})

    def _show(self, event: Event, words: WithoutTokens, before: dict[str, bytes]) -> None:
        if isinstance(event, Said):
            self._line(said=words.add(event.text))
            return
        if rest := words.end():
            self._line(said=rest)
        if isinstance(event, Ran):
            files = files_of(event.done.state, before)
            before.clear()
            before.update(event.done.state.files)
            result = event.done.result
            about = {"outcome": result.outcome, "seconds": result.seconds}
            self._line(ran={**about, "shown": event.shown, "files": files})
        else:
            self._line(ended=event.reason)

    def _rights(self, talk: Conversation) -> Rights:
        """The user is asked, on the page."""

        def run(run: Run) -> Run | None:
            said = self._wait(talk, run={"code": run.code, "shell": run.shell})
            text = said.get("text")
            if not said.get("allowed") or not isinstance(text, str):
                return None
            return run._replace(code=text) if run.code else run._replace(shell=text)

        def install(requirements: tuple[str, ...]) -> bool:
            return bool(self._wait(talk, install=list(requirements)).get("allowed"))

        return Rights(run, install)

    def _wait(self, talk: Conversation, **asked: Any) -> dict[str, Any]:
        """The user's word; none where the answer was stopped, or nobody is there. Raises Gone."""
        while not talk.allowed.empty():
            talk.allowed.get_nowait()
        self._line(**asked)
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while time.monotonic() < deadline and not talk.stopped.is_set():
            try:
                return talk.allowed.get(timeout=0.2)
            except queue.Empty:
                if self.is_gone():
                    raise Gone from None
        return {}

    def _begin_lines(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()

    def _line(self, **value: Any) -> None:
        """Send an event. Raises Gone once the client is."""
        if self.is_gone():
            raise Gone
        self.wfile.write(json.dumps(value).encode() + b"\n")
        self.wfile.flush()

    def _send_bytes(self, content: bytes, kind: str, policy: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", POLICY if policy else "sandbox")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        if not policy:
            self.send_header("Content-Disposition", "attachment")
        self.end_headers()
        self.wfile.write(content)


class WebServer(listening.Listener):
    """The server. new_session: a session without a word said yet. options: see `Listener`."""

    handler = Handler

    def __init__(
        self,
        address: tuple[str, int],
        new_session: Callable[[], Session],
        model: str,
        max_conversations: int = MAX_CONVERSATIONS,
        **options: Any,
    ):
        self.conversations, self.model = Conversations(new_session, max_conversations), model
        super().__init__(address, **options)


def files_of(state: State, before: dict[str, bytes] | None = None) -> list[dict[str, Any]]:
    """Name and size of each file, and whether it is another than before."""
    known = before or {}
    return [
        {"name": name, "size": len(content), "changed": known.get(name) != content}
        for name, content in sorted(state.files.items())
    ]
