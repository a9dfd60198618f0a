"""vLLM as an endpoint: how it is started, watched and ended. Its place is taken by a program of the
same name that speaks the same API; the real one needs a GPU."""

import asyncio
import fcntl
import os
import sys
import textwrap
from pathlib import Path

import pytest

from aiev.core.errors import EndpointError, UserError
from aiev.core.files import read_json
from aiev.core.hashing import of_path
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import KINDS, gpus_of, serve
from aiev.llm.ledger import Ledger

TESTS = Path(__file__).parents[2]
SETTINGS = {"kind": "vllm", "name": "student-x", "slots": 8, "context_tokens": 512}
SETTINGS |= {"tensor_parallel": 2, "data_parallel": 3}
HELLO = [{"role": "user", "content": "Say hello."}]

PROGRAM = """
    #!{python}
    import json, os, subprocess, sys
    sys.path[:0] = [{tests!r}, {scripts!r}]
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from scripted import completion

    options = sys.argv[1:]
    if options == ["--version"]:
        print("INFO 11-30 22:00:00 [__init__.py:216] no platform detected, vllm is CPU-only")
        print({version!r})
        sys.exit()
    open({said!r}, "w").write(json.dumps([options, sorted(os.environ)]))
    print("loading" * 40000)  # more than a pipe holds
    if {broken}:
        sys.exit("CUDA out of memory")
    if {worker!r}:
        command = [sys.executable, "-c", {worker!r}, {said!r} + ".lock"]
        subprocess.Popen(command, stdout=subprocess.PIPE).stdout.readline()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(b"")

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(json.dumps(completion("hello from " + body["model"])).encode())

        def answer(self, data):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    port = int(options[options.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


# As one of vLLM's workers: it holds something (there the GPU's memory) and does not heed SIGTERM.
WORKER = """
import fcntl, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def checkpoint(tmp_path):
    place = tmp_path / "student"
    place.mkdir()
    (place / "config.json").write_text("{}")
    return place


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    """`vllm(broken, worker, version)` puts the program on the PATH; returns the file in which it
    says how it was started. worker: a program that it starts, with the name of a file to hold."""

    def put(broken=False, worker="", version="0.19.1"):
        said, program = tmp_path / "said.json", tmp_path / "bin/vllm"
        program.parent.mkdir()
        text = PROGRAM.format(
            python=sys.executable,
            tests=str(TESTS),
            scripts=str(TESTS.parent / "scripts"),
            said=str(said),
            broken=broken,
            worker=worker,
            version=version,
        )
        program.write_text(textwrap.dedent(text).lstrip())
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return said

    return put


def ask(endpoint, ledger):
    async def run():
        async with ChatClient(endpoint, ledger, timeout=20) as chat:
            return await chat.complete(HELLO, conversation=1)

    return asyncio.run(run())


def test_it_is_started_for_the_first_question_and_ends_with_the_block(
    vllm, checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    said = vllm()
    with serve(SETTINGS, checkpoint, tmp_path, tmp_path / "job.log") as endpoint:
        assert endpoint.process is None and endpoint.digest == of_path(checkpoint)
        answer = ask(endpoint, Ledger(tmp_path / "ledger"))
        process = endpoint.process
    assert answer.text == "hello from student-x"
    assert process.poll() is not None
    text = said.read_text()
    wanted = ["--tensor-parallel-size 2", "--data-parallel-size 3", "--max-num-seqs 3"]
    options = " ".join(read_json(said)[0])
    for option in (*wanted, "--enable-prefix-caching", str(checkpoint)):
        assert option in options
    assert gpus_of(SETTINGS) == 6
    assert "OPENAI_API_KEY" not in text
    assert "loading" in (tmp_path / "job.server.log").read_text()


def test_its_workers_are_gone_after_the_block(vllm, checkpoint, tmp_path):
    said = vllm(worker=WORKER)
    with serve(SETTINGS, checkpoint, tmp_path, tmp_path / "job.log") as endpoint:
        endpoint.stop_seconds = 0.2
        endpoint.start()
        with pytest.raises(BlockingIOError):
            take(f"{said}.lock")
    take(f"{said}.lock")


def take(path: str) -> None:
    """Lock a file. Raises BlockingIOError while a process holds it."""
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_one_that_does_not_come_up_is_an_error_with_its_last_word(vllm, checkpoint, tmp_path):
    vllm(broken=True)
    with serve(SETTINGS, checkpoint, tmp_path, tmp_path / "job.log") as endpoint:
        with pytest.raises(EndpointError, match="CUDA out of memory") as caught:
            endpoint.start()
        assert "tensor_parallel" in str(caught.value)


def test_where_it_did_not_come_up_no_other_server_is_asked(vllm, checkpoint, tmp_path, scripted):
    """Questions that wait for the start meet its failure, and not the default address."""
    vllm(broken=True)

    async def two(endpoint):
        async with ChatClient(endpoint, Ledger(tmp_path / "ledger"), timeout=20) as chat:
            asked = (chat.complete([{"role": "user", "content": word}]) for word in ("one", "two"))
            return await asyncio.gather(*asked, return_exceptions=True)

    with (
        pytest.MonkeyPatch.context() as patch,
        serve(SETTINGS, checkpoint, tmp_path, tmp_path / "job.log") as endpoint,
    ):
        patch.setenv("OPENAI_BASE_URL", scripted.url)
        found = asyncio.run(two(endpoint))
    assert [type(one) for one in found] == [EndpointError] * 2
    assert scripted.bodies == []


def test_where_it_is_not_installed_it_says_what_to_do(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with (
        serve(SETTINGS, checkpoint, tmp_path, tmp_path / "job.log") as endpoint,
        pytest.raises(EndpointError, match="not on the PATH") as caught,
    ):
        endpoint.start()
    assert "llamacpp" in str(caught.value)


def test_it_needs_weights(tmp_path):
    with pytest.raises(UserError, match="weights"), serve(SETTINGS, None, tmp_path, None):
        pass


@pytest.mark.parametrize(
    "version", ["0.19.1", "0.19.1rc2.dev7+g1234567.cu130", "0.20.0", "0.20", "1.0.0", "no number"]
)
def test_a_version_that_knows_what_transformers_5_writes(vllm, version):
    vllm(version=version)
    KINDS.get("vllm")().check(SETTINGS)


@pytest.mark.parametrize("version", ["0.19.0", "0.12.0", "0.9"])
def test_an_older_version_is_refused_before_anything_is_asked(vllm, version):
    said = vllm(version=version)
    with pytest.raises(EndpointError, match=f"version {version},") as caught:
        KINDS.get("vllm")().check(SETTINGS)
    assert "vllm 0.19.1 or later" in caught.value.hint and "student-x" in caught.value.where
    assert not said.exists(), "no server was started"


def test_the_check_misses_a_command_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EndpointError, match="the command vllm is not on the PATH"):
        KINDS.get("vllm")().check(SETTINGS)
