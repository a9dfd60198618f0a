"""An OpenAI-compatible server for `completions`: any chat front end can use it.

Routes: GET /v1/models, POST /v1/chat/completions (streaming or not), GET /health. It listens on
loopback by default. A page in a browser of this machine cannot use it: a request has to name this
host and to be JSON, for which a browser asks first, and is not answered.
"""

import hmac
import json
import select
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiev.core.errors import EndpointError, UserError
from aiev.core.log import log
from aiev.interpreter.completions import Answering, Asked, BadRequest, Completions

MAX_BODY = 8 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Server(ThreadingHTTPServer):
    """The server. model: the name that clients see. token: that they have to send, "" for none.
    max_busy: answers under way at once; others wait for `wait_seconds`, then are refused."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        completions: Completions,
        model: str,
        token: str = "",
        max_busy: int = 4,
        wait_seconds: float = 60.0,
        max_connections: int = 64,
    ):
        self.completions, self.model, self.token = completions, model, token
        self.busy, self.wait_seconds = threading.Semaphore(max_busy), wait_seconds
        self.connections = threading.Semaphore(max_connections)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.loopback = address[0] in LOOPBACK
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("a request failed")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds for which a silent client is waited for

    def do_GET(self) -> None:
        if self.path == "/health":
            self._json(200, {"status": "ok"})
        elif not self._refused():
            if self.path == "/v1/models":
                known = {"id": self.server.model, "object": "model", "created": 0}
                self._json(200, {"object": "list", "data": [known | {"owned_by": "aiev"}]})
            else:
                self._error(404, f"there is no {self.path[:100]}")

    def do_POST(self) -> None:
        if self._refused():
            return
        if self.path != "/v1/chat/completions":
            return self._error(404, f"there is no {self.path[:100]}")
        try:
            asked, answering = self.server.completions.answer(self._body(), self._credential())
        except BadRequest as error:
            return self._error(400, str(error))
        if not self.server.busy.acquire(timeout=self.server.wait_seconds):
            return self._error(429, "the server is busy: try again later")
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
            return self._error(502 if isinstance(error, EndpointError) else 500, error.message)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": answering.finish_reason}
        known = {**about, "object": "chat.completion", "model": self.server.model}
        self._json(200, {**known, "choices": [choice], "usage": _usage(answering)})

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
                if self._is_gone():
                    raise Gone
                yield piece

    def _is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        with suppress(BlockingIOError):
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        return False

    def _refused(self) -> bool:
        """Whether the request may not be answered; then it has been refused."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if self.server.loopback and host not in LOOPBACK:
            self._error(403, "the request names another host")
        elif self.server.token and not hmac.compare_digest(
            self._credential().encode(), f"Bearer {self.server.token}".encode()
        ):
            self._error(401, "a wrong or no token: send it as the API key")
        elif self.command == "POST" and self.headers.get_content_type() != "application/json":
            self._error(415, "send application/json")
        else:
            return False
        return True

    def _credential(self) -> str:
        return self.headers.get("Authorization") or ""

    def _body(self) -> Any:
        """The request's JSON. Raises BadRequest."""
        try:
            size = int(self.headers.get("Content-Length") or "")
        except ValueError:
            raise BadRequest("Content-Length is missing") from None
        if not 0 <= size <= MAX_BODY:
            self.close_connection = True
            raise BadRequest(f"the request is larger than {MAX_BODY} bytes")
        try:
            return json.loads(self.rfile.read(size))
        except (ValueError, RecursionError):
            raise BadRequest("the request is not JSON") from None

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, message: str) -> None:
        self.close_connection = True  # its body may not have been read
        kind = "invalid_request_error" if status < 500 else "server_error"
        self._json(status, {"error": {"message": message, "type": kind, "code": None}})

    def log_message(self, format: str, *arguments: Any) -> None:
        log.info("%s", format % arguments)


def _usage(answering: Answering) -> dict[str, int]:
    read, written = answering.tokens
    total = read + written
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total}
