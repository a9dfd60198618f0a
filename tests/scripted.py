"""A chat endpoint that speaks the OpenAI API and answers by a script: the tests' model.

A script is a function of the request's body that returns what the server does:
  str            an answer with this text
  int            an error of this HTTP status
  Raw(...)       these bytes, as they are
  Slowly(...)    an answer that comes in pieces, with pauses, where a stream is asked for
  HANG           nothing, until the endpoint closes
  CLOSE          the connection closed without a byte
The same body gets the same answer, whoever else asks: a script has no memory unless a test gives
it one.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiev.core.hashing import of_json
from aiev.llm.endpoints.base import Endpoint
from aiev.recipes.aiev_instruct.prompt_sets import load

SMALL = load("small")


def render(name: str, **values: str) -> str:
    """A template of the prompt set `small`, filled in."""
    return SMALL.fill(f"{name}.md", **values)


HANG, CLOSE = object(), object()
ASKED_BY = ("model", "messages", "temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True)
class Raw:
    """A response of any kind."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Slowly:
    """An answer that is streamed piece by piece. pause: seconds before each piece."""

    text: str
    pause: float = 0.0
    finish_reason: str = "stop"
    size: int = 7


def chunks_of(answer: Slowly) -> Iterator[bytes]:
    """The answer as server-sent events, with the tokens that it took at the end."""
    pieces = [answer.text[n : n + answer.size] for n in range(0, len(answer.text), answer.size)]
    deltas = [{"delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    deltas.append({"delta": {}, "finish_reason": answer.finish_reason})
    known = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    for delta in deltas:
        yield b"data: %s\n\n" % json.dumps(known | {"choices": [{"index": 0, **delta}]}).encode()
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    yield b"data: %s\n\n" % json.dumps(known | {"choices": [], "usage": usage}).encode()
    yield b"data: [DONE]\n\n"


def completion(text: str | None, **fields: Any) -> dict[str, Any]:
    """A chat completion as a server sends it; `fields` replace its own."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        **fields,
    }


def key_of(body: dict[str, Any]) -> str:
    """What decides an answer, of a body as it is sent or of a request as it is in the ledger: what
    is left out is the API's default."""
    whole = {**Endpoint.api_defaults, **body}
    return of_json([whole.get(name) for name in ASKED_BY])


class Scripted:
    """The endpoint. `answered` counts questions by `key_of`; `bodies` is all that came,
    `credentials` counts them by the header with the API key that they came with."""

    def __init__(self, script: Callable[[dict[str, Any]], Any] | None = None, delay: float = 0.0):
        self.script = script or dialogues
        self.delay = delay
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.bodies: list[dict[str, Any]] = []
        self.answered: Counter[str] = Counter()
        self.credentials: Counter[str] = Counter()
        self.busy = self.most_busy = 0
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        self.live()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def live(self) -> None:
        """Listen, on the same port as before if there was one."""
        self.closing.clear()
        self.server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def die(self) -> None:
        """Close the port and every open connection."""
        self.closing.set()
        with self.lock:  # some tests let it die of several questions at once
            server, self.server = self.server, None
        if server:
            server.shutdown()
            server.server_close()
            server.drop()

    def forget(self) -> None:
        """Count from zero again."""
        with self.lock:
            self.bodies.clear()
            self.answered.clear()
            self.most_busy = 0

    def play(self, body: dict[str, Any]) -> Any:
        with self.lock:
            self.bodies.append(body)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.delay:
                time.sleep(self.delay)
            return self.script(body)
        finally:
            with self.lock:
                self.busy -= 1


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(2)

    def handle_error(self, *_) -> None:
        """A client that went away in mid-answer is what some tests are about."""


def _handler(endpoint: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with endpoint.lock:
                endpoint.credentials[self.headers.get("Authorization", "")] += 1
            found = endpoint.play(body)
            if found is HANG:
                endpoint.closing.wait(60)
                found = CLOSE
            if found is CLOSE:
                self.close_connection = True
                return
            if body.get("stream") and isinstance(found, str | Slowly):
                return self.stream(found if isinstance(found, Slowly) else Slowly(found))
            if isinstance(found, int):
                error = {"error": {"message": f"scripted {found}", "type": "scripted"}}
                found = Raw(json.dumps(error).encode(), status=found)
            elif not isinstance(found, Raw):
                found = Raw(json.dumps(completion(found)).encode())
            if found.status == 200:
                with endpoint.lock:
                    endpoint.answered[key_of(body)] += 1
            self.send_response(found.status)
            self.send_header("Content-Type", found.content_type)
            self.send_header("Content-Length", str(len(found.body)))
            for header in found.headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(found.body)

        def stream(self, answer: Slowly) -> None:
            """Send the answer as it is written; the connection's end is the answer's."""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            for chunk in chunks_of(answer):
                if endpoint.closing.wait(answer.pause):
                    return
                self.wfile.write(chunk)
                self.wfile.flush()

        def log_message(self, *_) -> None:
            """Silence."""

    return Handler


@contextmanager
def scripted_endpoint(script=None, delay: float = 0.0) -> Iterator[Scripted]:
    endpoint = Scripted(script, delay)
    try:
        yield endpoint
    finally:
        endpoint.die()


# The default script: a teacher for seeds whose function's name says how its dialogue ends.

ENDINGS = ("once", "mended", "never", "nocode", "vacuous")
"""First word of a seed function's name: verified at once; verified after one round of feedback,
which repairs the solution; never right; an answer without code; tests that hold for anything."""


def dialogues(body: dict[str, Any]) -> str:
    """Answers both roles. Unknown names end as "once"."""
    messages = body["messages"]
    last = messages[-1]["content"]
    if messages[0]["content"] == render("questioner"):
        if last.startswith(render("describe", code="@", error="@").partition("@")[0]):
            return "The function returned one less than was expected."
        return problem(re.findall(r"^def (\w+)", last, re.MULTILINE)[0])
    asked = [re.findall(r"`(\w+)\(x\)`", m["content"]) for m in messages if m["role"] == "user"]
    name = [found[0] for found in asked if found][-1]
    if "Write tests for" in last:
        return tests(name)
    # Outside a dialogue, as in a duel, and where it is asked for a vote, it knows better.
    votes = body["temperature"] == 0.8
    knows = len(messages) == 1 or votes
    revisions = sum("Correct the function" in m["content"] for m in messages)
    return solution(name, right=knows or revisions > 0, votes=votes, revisions=revisions)


def problem(name: str) -> str:
    """The Questioner's problem for the function of that name."""
    says = "nothing" if name.startswith("vacuous") else f"`x` plus {len(name)}"
    examples = [f"`{name}({x})` returns `{result_of(name, x)}`" for x in (2, 3)]
    return "\n".join([f"Write a function `{name}(x)` that returns {says}.", *examples])


def result_of(name: str, x: int) -> int | None:
    return None if name.startswith("vacuous") else x + len(name)


def tests(name: str) -> str:
    """The Programmer's tests; the last one is wrong, and no independent solution confirms it."""
    lines = [f"assert {name}({x}) == {result_of(name, x)}" for x in (1, 10)]
    return "\n".join(["```python", *lines, f"assert {name}(5) == 'wrong'", "```"])


def installing(said: str, name: str, package: str) -> str:
    """The same answer, but that the solution for the function `name` needs a package."""
    first = f"```sh\npip install {package}\n```\n\n```python\nimport {package}\n"
    return said.replace("```python\n", first, 1) if f"def {name}(" in said else said


def solution(name: str, right: bool, votes: bool = False, revisions: int = 0) -> str:
    """The Programmer's answer for the function of that name; right: at the first try or not.
    votes: it is an independent one, which is right. revisions: no two of them are alike."""
    ending = name.partition("_")[0]
    if ending == "nocode" and not votes:
        return "I would add the numbers."
    wrong = (ending == "never" and not votes) or (ending == "mended" and not right)
    result = "None" if ending == "vacuous" else f"x + {len(name) - wrong * (1 + revisions)}"
    return f"Add the numbers.\n\n```python\ndef {name}(x):\n    return {result}\n```"


def seed_source(*names: str) -> str:
    """A module with one seed function of each name, all different."""
    body = "    total = {}\n    for item in items:\n        total += item\n    return total\n"
    parts = [f"def {name}(items):\n" + body.format(n) for n, name in enumerate(names)]
    return "\n\n".join(parts)
