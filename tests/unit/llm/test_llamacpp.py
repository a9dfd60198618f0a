"""Whose answers a local model's are: what is in the key of the ledger."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from aiev.core.errors import BudgetError, EndpointError, UserError
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


class Stubborn:
    """A server's process group that no signal ends, as one whose GPU driver hangs."""

    leader = SimpleNamespace(pid=4711, poll=lambda: None)

    def stop(self, seconds):
        return False


def test_no_other_server_starts_beside_one_that_does_not_end(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    with (
        pytest.raises(EndpointError, match="does not end, and its memory is not free") as caught,
        serve(SETTINGS, file, tmp_path, None) as endpoint,
    ):
        endpoint.group = Stubborn()
    assert "4711" in caught.value.where and caught.value.hint
    with pytest.raises(BudgetError), serve(SETTINGS, file, tmp_path, None) as endpoint:
        endpoint.group = Stubborn()
        raise BudgetError("what ends the job is told, and its exit code kept")


@pytest.mark.parametrize("special", [False, True])
def test_the_server_is_started_as_the_config_says(special, tmp_path):
    file = tmp_path / "a model.gguf"
    file.write_bytes(b"weights")
    own = {"context_tokens": 512, "threads": 3, "gpu_layers": -1, "special_tokens": special}
    with serve(SETTINGS | own, file, tmp_path, None) as endpoint:
        command = endpoint.command()
    module = importlib.import_module(command[2])
    params = module.parameters(module.options(command[3:]))
    assert (params.model.path, params.model_alias) == (str(file), {"student"})
    assert (params.n_parallel, params.n_ctx, params.port) == (2, 1024, 0)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (3, 3)
    assert (params.n_gpu_layers, params.special) == (-1, special)


def test_a_server_that_prints_more_than_a_pipe_holds_is_not_blocked(tmp_path):
    program = "print('ready')\nprint('x' * 10**6)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    first = []
    thread = drain_stdout(process.stdout, first, tmp_path / "server.log")
    assert process.wait(timeout=30) == 0, "it waits for somebody to read"
    thread.join(timeout=30)
    assert first == ["ready"]
    assert (tmp_path / "server.log").stat().st_size == 10**6 + 1
