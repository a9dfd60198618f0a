"""Which model is talked to, and how it is driven."""

import json

import openai
import pytest

from aiev.core.errors import UserError
from aiev.interpreter.models import Chosen, choose, open_model
from aiev.interpreter.triggers import Fences, Tokens
from aiev.llm.streaming import Sampling

SERVER = {"base_url": None, "slots": 1, "timeout_seconds": 30}
CONFIG = {
    "name": "laptop",
    "models": {
        "teacher": {"kind": "llamacpp", "name": "big", "resource": "big"},
        "student": {"kind": "llamacpp", "name": "small", "resource": "small"},
    },
    "resources": {"big": {"file": "big.gguf"}},
    "tags": {"layout": "turns"},
    "execution": {
        "models": {"teacher": SERVER, "student": SERVER},
        "ledger": {"path": "ledger", "mode": "record"},
        "prices": {},
        "budget": {},
    },
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    return tmp_path


def checkpoint(folder, tokens=True, end="<|im_end|>"):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    added = [{"content": "<API_RUN_START>"}] if tokens else []
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": end}))
    return folder


def test_the_student_is_the_runs_checkpoint_and_is_driven_by_tokens(here):
    with pytest.raises(UserError, match="no trained model"):
        choose(CONFIG, "student")
    checkpoint(here / "results/laptop/model", end={"content": "<|end|>"})
    chosen = choose(CONFIG, "student")
    assert chosen.weights.name == "model" and chosen.model["name"] == "small"
    assert chosen.knows_tokens and chosen.end_of_turn == "<|end|>"


def test_a_checkpoint_without_the_tokens_and_a_file_are_driven_by_fences(here):
    folder = checkpoint(here / "elsewhere", tokens=False)
    assert not choose(CONFIG, str(folder)).knows_tokens
    with pytest.raises(UserError, match="weights are not here") as caught:
        choose(CONFIG, "teacher")
    assert "aiev run --config FILE" in caught.value.hint
    (here / "resources/big").mkdir(parents=True)
    (here / "resources/big/big.gguf").write_bytes(b"x")
    chosen = choose(CONFIG, "teacher")
    assert chosen.model["name"] == "big" and not chosen.knows_tokens and chosen.end_of_turn == ""


def test_a_url_serves_one_model_or_the_one_that_is_named(monkeypatch, scripted):
    listed = ["only"]

    def models_of(self):
        return type("Page", (), {"data": [type("Model", (), {"id": name}) for name in listed]})

    monkeypatch.setattr(openai.resources.models.Models, "list", models_of)
    chosen = choose(CONFIG, scripted.url)
    assert (chosen.model["name"], chosen.model["base_url"]) == ("only", scripted.url)
    listed.append("other")
    with pytest.raises(UserError, match="2 models: only, other"):
        choose(CONFIG, scripted.url)
    assert choose(CONFIG, scripted.url, "other").model["name"] == "other"
    with pytest.raises(UserError, match="would be written down"):
        choose(CONFIG, "http://name:secret@localhost/v1", "x")


@pytest.mark.parametrize("kind", [openai.OpenAIError, ValueError])
def test_a_server_that_lists_no_models_shows_no_key(kind, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-SECRET123")

    def refuse(self):
        raise kind("Incorrect API key provided: sk-proj-SECRET123")

    monkeypatch.setattr(openai.resources.models.Models, "list", refuse)
    with pytest.raises(UserError, match="Incorrect API key") as caught:
        choose(CONFIG, "http://127.0.0.1:9/v1")
    assert "SECRET" not in str(caught.value)


def test_a_trigger_can_be_chosen_and_inline_needs_a_server_of_ours(here, scripted):
    chosen = choose(CONFIG, scripted.url, "m")
    scripted.script = lambda body: "Words."
    for trigger, kind in (("auto", Fences), ("fences", Fences), ("tokens", Tokens)):
        with open_model(chosen, CONFIG, trigger, Sampling(), None) as (client, how):
            client.start()
            stream = client.stream([{"role": "user", "content": "Go."}])
            assert isinstance(how, kind) and "".join(stream) == "Words."
            stream.close()
    assert (here / "ledger/spending.jsonl").read_text().count('"stage": "chat"') == 3
    inline = {**CONFIG, "tags": {"layout": "inline"}}
    with (
        pytest.raises(UserError, match="goes on with an answer"),
        open_model(chosen, inline, "tokens", Sampling(), None),
    ):
        pass


def test_a_server_here_shows_the_tokens_and_its_end_of_turn_is_no_text(here, monkeypatch):
    """A stand-in for llama.cpp's server: what it is started with."""
    from aiev.llm.endpoints import llamacpp

    started = []
    monkeypatch.setattr(llamacpp, "converted", lambda folder, *_: folder)
    chosen = Chosen({**SERVER, **choose_student(here), "threads": 1, "gpu_layers": 0}, here / "m")
    with open_model(chosen, CONFIG, "auto", Sampling(), None) as (client, how):
        started += client.endpoint.command()
        assert isinstance(how, Tokens) and client.end_of_turn == "<|im_end|>"
    assert "--special-tokens" in started


def choose_student(here):
    checkpoint(here / "m")
    return {"kind": "llamacpp", "name": "small", "resource": "small", "context_tokens": 512}
