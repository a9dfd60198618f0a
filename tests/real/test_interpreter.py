"""The interpreter with real models: the teacher by its fences, a checkpoint by its tokens."""

import pytest

from aiev.interpreter.models import Chosen, open_model
from aiev.interpreter.session import Ran, Session
from aiev.interpreter.workspace import Workspace
from aiev.languages.interpreter import Interpreter
from aiev.llm.streaming import Sampling
from aiev.sandbox.api import Limits, open_sandbox

pytestmark = pytest.mark.real
SERVER = {"kind": "llamacpp", "slots": 1, "context_tokens": 2048, "threads": 2, "gpu_layers": 0}
SERVER |= {"timeout_seconds": 300}


def config(tmp_path):
    ledger = {"path": str(tmp_path / "ledger"), "mode": "record"}
    execution = {"ledger": ledger, "prices": {}, "budget": {}}
    return {"execution": execution, "tags": {"layout": "turns"}}


@pytest.mark.nightly  # what a model of 0.5B does with it differs from machine to machine
def test_the_teacher_runs_its_code_and_reads_the_result(resource, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = Chosen({**SERVER, "name": "teacher"}, resource("qwen2.5-coder-0.5b"))
    sampling = Sampling(max_tokens=300)
    asked = "Write a Python program that prints 2 ** 99. Run it and tell me what it prints."
    with (
        open_sandbox("bubblewrap") as sandbox,
        open_model(chosen, config(tmp_path), "auto", sampling, tmp_path / "log") as (client, how),
    ):
        session = Session(client, Workspace(Interpreter(sandbox, Limits(), None)), how, max_runs=2)
        runs = [event for event in session.ask(asked) if isinstance(event, Ran)]
    assert any(str(2**99) in run.shown for run in runs)
    assert client.completion_tokens > 0


def test_a_checkpoints_tokens_are_in_its_answers(trained_student, tmp_path, monkeypatch):
    """A student whose next token is forced to be one of the four says it, where others hide it."""
    monkeypatch.chdir(tmp_path)
    chosen = Chosen({**SERVER, "name": "student"}, trained_student)
    assert chosen.knows_tokens and chosen.end_of_turn == "<|im_end|>"
    sampling = Sampling(max_tokens=4)
    opened = open_model(chosen, config(tmp_path), "auto", sampling, tmp_path / "log")
    with opened as (client, _):
        from transformers import AutoTokenizer

        start = AutoTokenizer.from_pretrained(trained_student).convert_tokens_to_ids(
            "<API_RUN_START>"
        )
        client.extra = {"logit_bias": {str(start): 100}}
        stream = client.stream([{"role": "user", "content": "Run it."}])
        assert "<API_RUN_START>" in "".join(stream)
        stream.close()
