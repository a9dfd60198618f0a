"""What the interpreter's servers share: bounds, tokens, and who may ask.

They listen on loopback by default. A page of another site in a browser of this machine cannot use
them: a request has to name this host, and to have a type for which a browser asks first, which is
not answered.
"""

import hmac
import json
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from aiev.core.log import log

MAX_BODY = 8 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


class BadRequest(Exception):
    """The request cannot be answered; the message says why."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Listener(ThreadingHTTPServer):
    """A server with a thread for each connection.

    token: that clients have to send as `Authorization: Bearer ...`, "" for none. max_busy: answers
    under way at once; others wait for `wait_seconds`, then are refused.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    handler: ClassVar[type["Handler"]]

    def __init__(
        self,
        address: tuple[str, int],
        token: str = "",
        max_busy: int = 4,
        wait_seconds: float = 60.0,
        max_connections: int = 64,
    ):
        self.token, self.wait_seconds = token, wait_seconds
        self.busy = threading.Semaphore(max_busy)
        self.connections = threading.Semaphore(max_connections)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.loopback = address[0] in LOOPBACK
        super().__init__(address, self.handler)

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

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds for which a silent client is waited for
    types: ClassVar[tuple[str, ...]] = ("application/json",)
    """Of what is sent here."""

    def is_gone(self) -> bool:
        """Whether the client has left."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        with suppress(BlockingIOError):
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        return False

    def refused(self) -> bool:
        """Whether the request may not be answered; then it has been refused."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if self.server.loopback and host not in LOOPBACK:
            self.send_failure(403, "the request names another host")
        elif self.server.token and not hmac.compare_digest(
            self.credential().encode(), f"Bearer {self.server.token}".encode()
        ):
            self.send_failure(401, "a wrong or no token: send it as the API key")
        elif self.command != "GET" and self.headers.get_content_type() not in self.types:
            self.send_failure(415, f"send {' or '.join(self.types)}")
        else:
            return False
        return True

    def credential(self) -> str:
        """What the client sent with its token or key; "" without one."""
        return self.headers.get("Authorization") or ""

    def read_bytes(self) -> bytes:
        """The request's body. Raises BadRequest."""
        try:
            size = int(self.headers.get("Content-Length") or "")
        except ValueError:
            raise BadRequest("Content-Length is missing", 411) from None
        if not 0 <= size <= MAX_BODY:
            raise BadRequest(f"the request is larger than {MAX_BODY} bytes", 413)
        return self.rfile.read(size)

    def read_json(self) -> Any:
        """The request's body as JSON. Raises BadRequest."""
        try:
            return json.loads(self.read_bytes())
        except (ValueError, RecursionError):
            raise BadRequest("the request is not JSON") from None

    def send_value(self, status: int, value: Any) -> None:
        """Answer with JSON."""
        body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def send_failure(self, status: int, message: str) -> None:
        """Answer with an error in the form of OpenAI's API, and close the connection."""
        self.close_connection = True  # its body may not have been read
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.send_value(status, {"error": {"message": message, "type": kind, "code": None}})

    def log_message(self, format: str, *arguments: Any) -> None:
        log.info("%s", format % arguments)
