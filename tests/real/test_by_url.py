"""config/by-url.yaml, as docs/vendors.md says to run it: the small model behind the kind `openai`
on loopback, through all stages of the laptop pipeline.

Some minutes of two cores, and luck decides whether one of so few dialogues is verified: at night.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from aiev.core.files import read_json, read_jsonl

pytestmark = [pytest.mark.real, pytest.mark.nightly]
ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/by-url.yaml").read_text("utf-8"))
TEACHER, STUDENT = "qwen2.5-coder-0.5b", "smollm2-135m"
KEY = "sk-any-word-will-do-here"
BAD_LUCK = "no dialogue of the round is verified"
"""How a run of few dialogues by a small model may end."""
LIMIT_SECONDS = 2400
"""Of one command."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def server(resource, tmp_path_factory):
    """The address of a server that was started apart from the run, and its process."""
    port = free_port()
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "aiev.llm.llamacpp_server", str(resource(TEACHER))]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            with direct.open(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8", "replace")[-2000:])


@pytest.fixture(scope="module")
def checkout(server, resource, tmp_path_factory) -> Path:
    """A copy of the workflow, its config with the server's address, and the pinned files."""
    folder = tmp_path_factory.mktemp("by-url")
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "mirror").mkdir()
    for name in (STUDENT, "humaneval"):
        (folder / "mirror" / resource(name).name).symlink_to(resource(name))
    config = folder / "config/by-url.yaml"
    given = CONFIG["execution"]["models"]["teacher"]["base_url"]
    text = config.read_text("utf-8")
    assert text.count(given) == 1
    config.write_text(text.replace(given, server), "utf-8")
    return folder


def aiev(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIEV_", "PYTEST_", "OPENAI"))}
    kept |= {"PYTHONPATH": str(checkout / "scripts"), "AUTOCODER_MIRROR": str(checkout / "mirror")}
    process = subprocess.Popen(
        [sys.executable, "-m", "aiev", *words, "--config", "config/by-url.yaml"],
        cwd=checkout,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=LIMIT_SECONDS)
    except BaseException:  # a test that is given up leaves no job behind
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


@pytest.fixture(scope="module")
def results(checkout) -> Path:
    """Results of the run. Without a key it ends before anything is made."""
    said = aiev(checkout, "run", "--cores", "2")
    assert said.returncode in (2, 3), said.stderr[-2000:]
    assert "OPENAI_API_KEY" in said.stdout + said.stderr
    assert not (checkout / "ledger").exists() or not list((checkout / "ledger").glob("??/*.json"))
    config = checkout / "config/by-url.yaml"
    plain = config.read_text("utf-8")
    for seed in (1, 2, 3):
        config.write_text(f"seed: {seed}\n{plain}", "utf-8")
        done = aiev(checkout, "run", "--cores", "2", OPENAI_API_KEY=KEY)
        output = done.stdout + done.stderr
        assert "Traceback" not in output and KEY not in output, output[-6000:]
        if done.returncode == 0:
            return checkout / "results" / CONFIG["name"]
        assert BAD_LUCK in output, output[-6000:]
    raise AssertionError(f"three runs without luck; the last one:\n{output[-6000:]}")


def test_every_seed_has_a_dialogue_with_its_verdict(results):
    (shard,) = results.glob("rounds/0/dialogues/*.jsonl")
    dialogues = read_jsonl(shard)
    assert len(dialogues) == CONFIG["seeds"]["per_shard"]
    assert {dialogue["model"] for dialogue in dialogues} == {f"{TEACHER}@q4_k_m"}
    assert all((d["verdict"] == "candidate") == (d["reason"] == "") for d in dialogues)
    funnel = read_json(results / "funnel.json")
    assert funnel["answers"]["asked"] >= len(dialogues)


def test_the_run_went_to_its_end(results, checkout):
    scores = read_json(results / "scores.json")
    assert [row["model"] for row in scores["models"]] == ["base", "student", "teacher"]
    for row in scores["models"]:
        assert row["scores"]["humaneval"]["tasks"] == 2
        assert row["scores"]["humaneval"]["answers"]["asked"] == 2
    again = aiev(checkout, "run", "--cores", "2", OPENAI_API_KEY=KEY)
    assert again.returncode == 0, again.stderr[-2000:]


def test_the_key_is_nowhere(results, checkout):
    written = [p for p in checkout.rglob("*") if p.is_file() and not p.is_symlink()]
    assert written
    texts = (p.suffix in (".json", ".jsonl", ".log", ".md", ".yaml", ".html") for p in written)
    found = [
        path.relative_to(checkout).as_posix()
        for path, is_text in zip(written, texts, strict=True)
        if is_text and KEY[:12].encode() in path.read_bytes()
    ]
    assert found == []


def test_each_question_is_on_record_as_it_was_sent(results, checkout):
    entries = [read_json(path) for path in (checkout / "ledger").glob("??/*.json")]
    asked = [e["request"] for e in entries if e["request"].get("kind") == "openai"]
    assert {request["model"] for request in asked} == {TEACHER}
    assert all(request["send_defaults"] is True for request in asked)
