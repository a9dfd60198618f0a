"""An OpenAI-compatible server for `completions`: any chat front end can use it.

Routes: GET /v1/models, POST /v1/chat/completions (streaming or not), GET /health.
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from aiev.core.errors import EndpointError, UserError
from aiev.interpreter import listening
from aiev.interpreter.completions import Answering, Asked, Completions
from aiev.interpreter.listening import BadRequest, Gone


class Handler(listening.Handler):
    """One connection."""

    server: "Server"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send_value(200, {"status": "ok"})
        elif not self.refused():
            if self.path == "/v1/models":
                known = {"id": self.server.model, "object": "model", "created": 0}
                self.send_value(200, {"object": "list", "data": [known | {"owned_by": "aiev"}]})
            else:
                self.send_failure(404, f"there is no {self.path[:100]}")

    def do_POST(self) -> None:
        if self.refused():
            return
        if self.path != "/v1/chat/completions":
            return self.send_failure(404, f"there is no {self.path[:100]}")
        try:
            asked, answering = self.server.completions.answer(self.read_json(), self.credential())
        except BadRequest as error:
            return self.send_failure(error.status, str(error))
        if not self.server.busy.acquire(timeout=self.server.wait_seconds):
            return self.send_failure(429, "the server is busy: try again later")
        try:
            self._answer(asked, answering)
        except (Gone, ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.server.busy.release()

    def _answer(self, asked: Asked, answering: Answering) -> None:
        answer = self._stream if asked.stream else self._whole
        answer(answering, {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())})

    def _whole(self, answering: Answering, about: dict[str, Any]) -> None:
        """The answer in one piece."""
        try:
            text = "".join(self._pieces(answering))
        except UserError as error:
            return self.send_failure(
                502 if isinstance(error, EndpointError) else 500, error.message
            )
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": answering.finish_reason}
        known = {**about, "object": "chat.completion", "model": self.server.model}
        self.send_value(200, {**known, "choices": [choice], "usage": _usage(answering)})

    def _stream(self, answering: Answering, about: dict[str, Any]) -> None:
        """The answer as server-sent events, which the connection's end ends."""
        known = {**about, "object": "chat.completion.chunk", "model": self.server.model}

        def send(delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            event(json.dumps({**known, "choices": [choice], **more}))

        def event(data: str) -> None:
            self.wfile.write(f"data: {data}\n\n".encode("utf-8", "replace"))
            self.wfile.flush()

        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        send({"role": "assistant", "content": ""})
        try:
            for piece in self._pieces(answering):
                send({"content": piece})
        except UserError as error:
            return event(json.dumps({"error": {"message": error.message, "type": "server_error"}}))
        send({}, answering.finish_reason, usage=_usage(answering))
        event("[DONE]")

    def _pieces(self, answering: Answering) -> Iterator[str]:
        """The answer's text. Raises Gone once the client is."""
        with closing(answering.pieces()) as pieces:
            for piece in pieces:
                if self.is_gone():
                    raise Gone
                yield piece


class Server(listening.Listener):
    """The server. model: the name that clients see. options: see `Listener`."""

    handler = Handler

    def __init__(
        self, address: tuple[str, int], completions: Completions, model: str, **options: Any
    ):
        self.completions, self.model = completions, model
        super().__init__(address, **options)


def _usage(answering: Answering) -> dict[str, int]:
    read, written = answering.tokens
    total = read + written
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total}
