"""A real llama.cpp server: started, asked, killed, and refused a port."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aiev.core.errors import EndpointError
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.endpoints import serve
from aiev.llm.failures import ContextFull
from aiev.llm.ledger import Ledger
from aiev.recipes.aiev_instruct import grammars

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SETTINGS = {
    "kind": "llamacpp",
    "name": "smollm2",
    "slots": 2,
    "context_tokens": 512,
    "threads": 2,
    "gpu_layers": 0,
}
HELLO = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def weights(resource):
    return resource("smollm2-135m")


def ask(endpoint, ledger, *conversations, **sampling):
    """All conversations at once; their answers, and how many the server was asked."""

    async def run():
        chat = ChatClient(endpoint, ledger, timeout=60)
        try:
            answers = await asyncio.gather(*(chat.complete(c, **sampling) for c in conversations))
        finally:
            await chat.close()
        return answers, chat.asked

    return asyncio.run(run())


def test_a_real_model_answers_once_and_the_ledger_after_that(weights, tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        first, asked = ask(endpoint, ledger, HELLO, max_tokens=16)
        again, asked_again = ask(endpoint, ledger, HELLO, max_tokens=16)
    assert (asked, asked_again) == (1, 0)
    assert first == again
    assert first[0].text.strip()
    assert 0 < first[0].completion_tokens <= 16


def test_a_real_model_keeps_to_the_grammars_of_problems_and_tests(weights, tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    asked = [{"role": "user", "content": "Write a poem."}]
    how = {"max_tokens": 192, "temperature": 0.7, "seed": 1}
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        (problem,), _ = ask(endpoint, ledger, asked, grammar=grammars.PROBLEM, **how)
        (tests,), _ = ask(endpoint, ledger, asked, grammar=grammars.tests("verse"), **how)
    assert problem.text.startswith("Write a function `")
    assert tests.text.startswith("```python\nassert verse(")
    whole = [line for line in tests.text.split("\n")[1:-1] if line != "```"]
    assert whole and all(line.startswith("assert verse(") for line in whole)


def test_a_proxy_of_the_environment_is_not_asked_for_a_server_of_ours(
    weights, tmp_path, monkeypatch
):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        (answer,), _ = ask(endpoint, Ledger(tmp_path / "ledger"), HELLO, max_tokens=4)
    assert answer.text


def test_a_gpu_that_the_build_does_not_know_is_an_error(weights, tmp_path):
    settings = SETTINGS | {"gpu_layers": -1}
    with (
        serve(settings, weights, tmp_path, tmp_path / "job.log") as endpoint,
        pytest.raises(EndpointError, match="finds no GPU"),
    ):
        ask(endpoint, Ledger(tmp_path / "ledger"), HELLO, max_tokens=4)


def test_one_slot_and_a_seed_give_the_same_answer(weights, tmp_path):
    answers = []
    for name in ("one", "two"):
        with serve({**SETTINGS, "slots": 1}, weights, tmp_path, tmp_path / "job.log") as endpoint:
            found, _ = ask(
                endpoint, Ledger(tmp_path / name), HELLO, temperature=0.9, seed=3, max_tokens=24
            )
        answers.append(found[0].text)
    assert answers[0] == answers[1]


def test_a_conversation_longer_than_the_context_is_told_apart(weights, tmp_path):
    long = [{"role": "user", "content": "word " * 2000}]
    with (
        serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint,
        pytest.raises(ContextFull),
    ):
        ask(endpoint, Ledger(tmp_path / "ledger"), long)


def test_an_answer_cut_off_by_the_context_is_an_error(weights, tmp_path):
    story = [{"role": "user", "content": "Write a very long story about a dragon."}]
    ledger = Ledger(tmp_path / "ledger")
    small = {**SETTINGS, "context_tokens": 128}
    with serve(small, weights, tmp_path, tmp_path / "job.log") as endpoint:
        for known in (ledger, Ledger(ledger.root, "replay")):
            with pytest.raises(ContextFull):
                ask(endpoint, known, story, max_tokens=200)
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        answers, asked = ask(endpoint, ledger, story, max_tokens=200)
    assert asked == 1 and answers[0].completion_tokens > 100


def test_a_server_that_dies_in_mid_run_is_reported_and_its_answers_stay(
    weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    ledger = Ledger(tmp_path / "ledger")
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        ask(endpoint, ledger, HELLO, max_tokens=8)
        os.kill(endpoint.process.pid, signal.SIGKILL)
        endpoint.process.wait()
        with pytest.raises(EndpointError, match="ended with exit code -9"):
            ask(endpoint, ledger, [{"role": "user", "content": "Say goodbye."}])
        kept, asked = ask(endpoint, ledger, HELLO, max_tokens=8)
    assert kept[0].text
    assert asked == 0


def test_the_server_ends_with_the_block(weights, tmp_path):
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log") as endpoint:
        assert endpoint.process is None, "until there is a question"
        endpoint.start()
        process = endpoint.process
        assert process.poll() is None
    assert process.poll() is not None


def test_a_file_that_is_no_model_is_an_error_that_names_the_log(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(64))
    with (
        pytest.raises(EndpointError, match="did not start") as caught,
        serve(SETTINGS, bad, tmp_path, tmp_path / "job.log") as endpoint,
    ):
        endpoint.start()
    assert "job.server.log" in str(caught.value)


def test_no_free_port_is_an_error(weights, tmp_path):
    # In a network of its own, where the system may hand out one port only, and that one is taken.
    script = tmp_path / "crowded.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import fcntl, socket, struct, sys
            from pathlib import Path
            sys.path.insert(0, {str(ROOT / "scripts")!r})
            from aiev.llm.endpoints import serve
            from aiev.core.errors import EndpointError

            taken = socket.socket()
            fcntl.ioctl(taken, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # lo: up, running
            Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40000")
            taken.bind(("127.0.0.1", 40000))
            taken.listen()
            work = Path({str(tmp_path)!r})
            try:
                with serve({SETTINGS!r}, Path({str(weights)!r}), work, work / "job.log") as one:
                    one.start()
                    sys.exit("it started")
            except EndpointError as error:
                print(error)
            """
        )
    )
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "did not start" in done.stdout
    assert "free a loopback port" in done.stdout


def test_a_conversation_finds_its_prompt_again_among_others_that_begin_alike(weights, tmp_path):
    shared = {"role": "system", "content": "You are a careful assistant. " * 20}
    talks = [[shared, {"role": "user", "content": f"{word} " * 40}] for word in ("red", "blue")]
    with serve(SETTINGS, weights, tmp_path, tmp_path / "job.log", conversations=2) as endpoint:

        async def run():
            chat = ChatClient(endpoint, Ledger(tmp_path / "ledger"), timeout=60)
            for turn in range(3):
                for place, talk in enumerate(talks):
                    answer = await chat.complete(talk, max_tokens=4, conversation=place)
                    talk.append({"role": "assistant", "content": answer.text})
                    talk.append({"role": "user", "content": f"go on {turn}"})
            await chat.close()

        asyncio.run(run())
    read = [
        int(line.split(" / ")[1].split()[0])
        for line in (tmp_path / "job.server.log").read_text().splitlines()
        if "prompt eval time" in line
    ]
    assert len(read) == 6
    assert min(read[:2]) > 100 and max(read[2:]) < 60, read
