"""Inputs from public reports: what each must come to."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import scripted_endpoint

from aiev.core.errors import UserError
from aiev.core.process_group import ProcessGroup
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve
from aiev.llm.failures import ServerError
from aiev.llm.ledger import Ledger, key_of
from aiev.llm.responses import answer_of, final_text
from aiev.llm.secrets import Redactor, secret_from_environment
from aiev.llm.waiting import retry_after_seconds

ERRORS = [
    (400, {"error": {"message": "The response was filtered", "code": "content_filter"}}, "refused"),
    (400, {"error": {"message": "Content Exists Risk"}}, "refused"),
    (400, {"error": {"code": "data_inspection_failed", "message": "no"}}, "refused"),
    (400, {"error": {"message": "prompt is too long: 21 tokens > 20 maximum"}}, "context-full"),
    (400, {"detail": "Input is longer than the context length"}, "context-full"),
    (400, {"message": "This model's maximum context length is 4096 tokens."}, "context-full"),
    (400, {"error": {"message": "'seed' is not supported in this context."}}, "configuration"),
    (422, {"error": "`top_p` must be > 0.0 and < 1.0"}, "configuration"),
    (429, {"error": {"code": "insufficient_quota", "message": "no"}}, "configuration"),
    (429, {"error": {"message": "Rate limit exceeded"}}, "busy"),
    (408, {"error": {"message": "request timeout"}}, "busy"),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "busy"),
    (401, {"error": {"message": "no"}}, "configuration"),
    (500, {"error": {"message": "oops"}}, "unknown"),
]


@pytest.mark.parametrize(("status", "body", "meaning"), ERRORS)
def test_what_an_error_means(status, body, meaning):
    assert ServerError(status, body).meaning == meaning


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "30"}, "", 30),
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:40 GMT"}, "", 20),
        ({"x-ratelimit-reset-tokens": "6m0s"}, "", 360),
        ({}, "Please try again in 1m30.5s.", 90.5),
        ({}, '{"retryDelay": "34s"}', 34),
        ({"Retry-After": "soon"}, "", 0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, body, seconds):
    assert retry_after_seconds(headers, body, now=1_700_000_000) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\n```python\ndraft\n```\n</think>\n\nAnswer", "Answer"),
        ("A thought.\n</think>\n\nAnswer", "Answer"),
        ("<think>cut off in the mid", ""),
        ("The tag `<think>` and `</think>`", "The tag `<think>` and `</think>`"),
        ("x = text.split('</think>')\n", "x = text.split('</think>')\n"),
        ("[THINK]hm[/THINK]Answer", "Answer"),
        (" as it is \n", " as it is \n"),
    ],
)
def test_thoughts_are_no_part_of_an_answer(text, answer):
    assert final_text(text) == answer


def test_content_as_a_list_of_parts_and_counts_that_are_none():
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Good day"}]
    choice = SimpleNamespace(message=SimpleNamespace(content=parts), finish_reason="stop")
    usage = SimpleNamespace(prompt_tokens=True, completion_tokens=-1)
    answer = answer_of(SimpleNamespace(choices=[choice], usage=usage))
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Good day", 0, 0)


def test_a_line_end_after_a_key_is_stripped_and_one_inside_is_not_shown(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-proj-SECRET123\r\n")
    assert secret_from_environment("A_KEY") == "sk-proj-SECRET123"
    monkeypatch.setenv("A_KEY", "sk-proj\nSECRET123")
    with pytest.raises(UserError) as caught:
        secret_from_environment("A_KEY")
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@settings(max_examples=100)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=60))
def test_no_form_of_a_key_is_left(key):
    redact = Redactor([key]).redact
    for form in (key, repr(key)[1:-1], json.dumps(key)[1:-1], key[:8]):
        assert key[:8] not in redact(f"before {form} after")


def test_a_short_key_does_not_garble_errors():
    text = "max_tokens exceeds the maximum for this example"
    assert Redactor(["x"]).redact(text) == text


def test_keys_of_answers_stay_as_they_were():
    request = {"kind": "openai", "model": "m", "top_p": 1.0, "temperature": 0.5, "seed": 1}
    text = '{"kind":"openai","model":"m","seed":1,"temperature":0.5,"top_p":1.0}'
    assert key_of(request) == hashlib.sha256(text.encode()).hexdigest()
    assert key_of({**request, "top_p": 1}) == key_of(request)


KIND = """
from contextlib import contextmanager
from aiev.llm.endpoints.base import Endpoint, NoOptions

class Kind:
    Config = NoOptions

    def gpus(self, config):
        return 3

    @contextmanager
    def open(self, config, weights, scratch, log, conversations=0):
        yield Endpoint("mine", config["name"], "1", config["base_url"], 2)
"""


def test_a_kind_is_added_by_one_file(tmp_path):
    kind = tmp_path / "mine.py"
    kind.write_text(KIND)

    async def ask(endpoint):
        async with ChatClient(endpoint, Ledger(tmp_path / "ledger")) as chat:
            return await chat.complete([{"role": "user", "content": "Hello"}])

    with scripted_endpoint(lambda body: "Good day") as server:
        model = {"kind": str(kind), "name": "m", "base_url": server.url}
        with serve(model, None, tmp_path, None) as endpoint:
            assert asyncio.run(ask(endpoint)).text == "Good day"


CHILDREN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"])
    print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_children_that_ignore_the_signal_end_with_their_server(tmp_path):
    program = tmp_path / "server.py"
    program.write_text(CHILDREN)
    group = ProcessGroup([sys.executable, str(program)], stdout=subprocess.PIPE)
    child = int(group.leader.stdout.readline())
    assert alive(child) and group.stop(term_seconds=0.3)
    assert not alive(child) and not alive(group.leader.pid)


def test_children_end_with_a_job_that_is_killed(tmp_path):
    program = tmp_path / "server.py"
    program.write_text(CHILDREN)
    job = textwrap.dedent(f"""
        import os, signal, subprocess, sys
        from aiev.core.process_group import ProcessGroup
        group = ProcessGroup([sys.executable, {str(program)!r}], stdout=subprocess.PIPE)
        print(int(group.leader.stdout.readline()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    scripts = str(Path(__file__).parents[3] / "scripts")
    environment = {**os.environ, "PYTHONPATH": scripts}
    done = subprocess.run([sys.executable, "-c", job], capture_output=True, env=environment)
    child, deadline = int(done.stdout), time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)
