"""Whose answers a local model's are: what is in the key of the ledger."""

import subprocess
import sys

import pytest

from aiev.core.errors import EndpointError, UserError
from aiev.llm.endpoints import serve
from aiev.llm.endpoints.llamacpp import OUTTYPE, drain_stdout

SETTINGS = {"kind": "llamacpp", "name": "student", "slots": 2}


def identity(weights, folder):
    with serve(SETTINGS, weights, folder, None) as endpoint:
        return endpoint.identity()


def test_a_checkpoint_is_known_with_what_it_is_converted_to(tmp_path):
    checkpoint, file = tmp_path / "checkpoint", tmp_path / "model.gguf"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    file.write_bytes(b"weights")
    assert identity(checkpoint, tmp_path)["format"] == OUTTYPE
    assert "format" not in identity(file, tmp_path)


def test_a_checkpoint_that_cannot_be_converted_names_the_log(tmp_path, monkeypatch):
    said = "Traceback\nKeyError: 'architectures'\n"
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    (tmp_path / "checkpoint").mkdir()
    with (
        pytest.raises(EndpointError, match="to GGUF: KeyError: 'architectures'") as caught,
        serve(SETTINGS, tmp_path / "checkpoint", tmp_path, tmp_path / "job.log") as endpoint,
    ):
        endpoint.start()
    assert str(tmp_path / "job.server.log") in caught.value.hint
    assert (tmp_path / "job.server.log").read_text() == said


def test_a_local_model_without_weights_says_which_key_names_them(tmp_path):
    with (
        pytest.raises(UserError, match="needs its weights") as caught,
        serve(SETTINGS, None, tmp_path, None),
    ):
        pass
    assert "models.ROLE.resource" in caught.value.hint


def test_a_server_that_prints_more_than_a_pipe_holds_is_not_blocked(tmp_path):
    program = "print('ready')\nprint('x' * 10**6)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    first = []
    thread = drain_stdout(process.stdout, first, tmp_path / "server.log")
    assert process.wait(timeout=30) == 0, "it waits for somebody to read"
    thread.join(timeout=30)
    assert first == ["ready"]
    assert (tmp_path / "server.log").stat().st_size == 10**6 + 1
