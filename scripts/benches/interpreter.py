"""What the interpreter adds to a model and to the sandbox: a turn with one run in it."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

from aiev.interpreter.session import Ran, Session
from aiev.interpreter.triggers import Tokens
from aiev.interpreter.workspace import Run, State, Workspace
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.streaming import Sampling, StreamingClient
from aiev.sandbox.api import Limits, open_sandbox
from benches import report

TIMES = 40
LIMIT_MS = 50.0
"""Most that a turn may add to the model's answers and the bare run."""

PROGRAM = "print(6 * 7)"
ANSWERS = (f"So: <API_RUN_START>```python\n{PROGRAM}\n```<API_RUN_STOP>", "It is 42.")
ASKED = [{"role": "user", "content": "What is 6 times 7?"}]


class Model(BaseHTTPRequestHandler):
    """A server that streams its answer at once, as fast as a model can be."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = ANSWERS[len(body["messages"]) > 1]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # who has heard enough hangs up
            for start in range(0, len(said), 4):  # about a token each
                choice = {"index": 0, "delta": {"content": said[start : start + 4]}}
                self.wfile.write(b"data: %s\n\n" % json.dumps({"choices": [choice]}).encode())
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_) -> None:
        """Silence."""


def interpreter() -> None:
    """The first word and the whole of a turn with one run, against the same answers and the same
    run without a conversation around them."""
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Model) as server,
        open_sandbox("bubblewrap") as sandbox,
    ):
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        client = StreamingClient(Endpoint("openai", "bench", "1", url, 1), Sampling(), 30)
        runner = Interpreter(sandbox, Limits(), None)
        workspace = Workspace(runner)
        _compare("interpreter_first_word", *_first_words(client, workspace))
        bare = runner.request(Script(PROGRAM))
        run, alone = _paired(
            lambda: workspace.run(State(), Run(PROGRAM)), lambda: sandbox.run(bare)
        )
        _compare("interpreter_run", run, alone, "the bare sandbox")
        turn, parts = _paired(
            lambda: _turn(client, workspace), lambda: _answers_and_run(client, sandbox, bare)
        )
        _compare("interpreter_turn", turn, parts, "two bare answers and a bare run")
        added = max(turn - parts, 0.001)
        report("interpreter_overhead", added, "ms", "the limit", LIMIT_MS, LIMIT_MS / added)
        server.shutdown()


def _compare(name: str, ours: float, theirs: float, peer: str = "the bare model") -> None:
    report(name, ours, "ms", peer, theirs, theirs / ours)


def _turn(client: StreamingClient, workspace: Workspace) -> None:
    """A question, a run, an answer."""
    session = Session(client, workspace, Tokens())
    assert any(isinstance(event, Ran) for event in session.ask(ASKED[0]["content"]))


def _answers_and_run(client: StreamingClient, sandbox, request) -> None:
    for messages in (ASKED, [*ASKED, *ASKED]):
        with closing(client.stream(messages)) as stream:
            assert "".join(stream)
    assert sandbox.run(request).outcome == "passed"


def _first_words(client: StreamingClient, workspace: Workspace) -> tuple[float, float]:
    def ours() -> None:
        with closing(Session(client, workspace, Tokens()).ask(ASKED[0]["content"])) as events:
            next(events)

    def bare() -> None:
        with closing(client.stream(ASKED)) as stream:
            next(iter(stream))

    return _paired(ours, bare)


def _paired(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Median milliseconds of each, taken in turns."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(TIMES)]
    return median(p[0] for p in pairs) * 1000, median(p[1] for p in pairs) * 1000


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
