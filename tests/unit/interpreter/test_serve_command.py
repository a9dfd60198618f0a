"""`aiev serve` and `aiev web` as a user starts and ends them."""

import re
import signal
import subprocess
import urllib.request
from contextlib import contextmanager

import openai
import pytest
from command import AIEV, ROOT, aiev_here, environment


@contextmanager
def started(scripted, *words, **more):
    """The command, once it listens; its address."""
    command = [*AIEV, words[0], "--model", scripted.url, "--name", "m", "--port", "0", *words[1:]]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(OPENAI_API_KEY="x", **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield re.search(r"http://\S+", line)[0], line
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors


def test_serve_answers_until_it_is_interrupted(scripted):
    scripted.script = lambda body: "Words."
    with started(scripted, "serve", AUTOCODER_TOKEN="right") as (url, _):
        with openai.OpenAI(base_url=url, api_key="right", max_retries=0) as client:
            asked = [{"role": "user", "content": "Go."}]
            answer = client.chat.completions.create(model="m", messages=asked)
            assert answer.choices[0].message.content == "Words."
        with (
            openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()


def test_web_prints_the_pages_address_with_a_token_where_one_is_needed(scripted):
    with started(scripted, "web", "--host", "0.0.0.0") as (url, line):
        assert re.search(r"/#token=\S{32}$", line.strip())
        page = url.partition("#")[0].replace("0.0.0.0", "127.0.0.1")
        assert b"Code interpreter" in urllib.request.urlopen(page, timeout=30).read()


@pytest.mark.parametrize("command", ["serve", "web"])
def test_an_address_that_cannot_be_had_is_an_error_in_words(scripted, command):
    words = ("--model", scripted.url, "--name", "m", "--port", str(scripted.port))
    done = aiev_here(command, *words, OPENAI_API_KEY="x")
    assert done.returncode == 2 and "cannot listen" in done.stderr
    done = aiev_here(command, "--model", scripted.url, "--name", "m", OPENAI_API_KEY="")
    assert done.returncode == 2 and "no API key is set" in done.stderr
