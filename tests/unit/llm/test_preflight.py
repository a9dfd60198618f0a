"""The question before a run: what it finds, what it sends, and what a second run asks."""

import asyncio
import json

import pytest
from scripted import CLOSE, Raw

from aiev.core.errors import EndpointError
from aiev.llm import retries
from aiev.llm.client import ChatClient
from aiev.llm.failures import Unreachable
from aiev.llm.ledger import Ledger
from aiev.llm.preflight import Check, check_model
from aiev.recipes import RECIPES
from aiev.recipes.aiev_instruct.settings import DialogueSettings

WRITING = Check({"temperature": 0.7, "top_p": 0.95, "max_tokens": 99}, system=True)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)


def check(endpoint, tmp_path, wanted=WRITING):
    asyncio.run(check_model(ChatClient(endpoint, Ledger(tmp_path / "ledger")), wanted))


def test_one_question_with_the_run_s_parameters_then_none(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: "OK"
    for _ in range(2):
        check(endpoint_of(scripted), tmp_path)
    (body,) = scripted.bodies
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.95, 99)
    (entry,) = (tmp_path / "ledger").glob("*/*.json")
    assert json.loads(entry.read_text("utf-8"))["answer"]["text"] == "OK"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Incorrect API key provided"),
        (404, "The model `gpt-5` does not exist"),
        (400, "Unsupported parameter: 'temperature' is not supported with this model."),
        (400, "System role not supported"),
        (400, "max_tokens is too large: 99"),
        (400, "This model's maximum context length is 64 tokens"),
        (500, "no idea"),
    ],
)
def test_what_is_wrong_for_all_questions_ends_the_run(
    status, words, scripted, endpoint_of, tmp_path
):
    body = json.dumps({"error": {"message": words}}).encode()
    scripted.script = lambda _: Raw(body, status=status)
    with pytest.raises(EndpointError) as caught:
        check(endpoint_of(scripted), tmp_path)
    assert words in str(caught.value) and caught.value.hint
    assert not isinstance(caught.value, Unreachable)


def test_no_connection_is_told_apart(scripted, endpoint_of, tmp_path):
    scripted.script = lambda body: CLOSE
    with pytest.raises(EndpointError) as caught:
        check(endpoint_of(scripted), tmp_path)
    assert not isinstance(caught.value, Unreachable)
    scripted.die()
    with pytest.raises(Unreachable):
        check(endpoint_of(scripted), tmp_path)


def test_an_answer_that_is_cut_off_is_one(scripted, endpoint_of, tmp_path):
    """A reasoning model may spend all its tokens on thoughts."""
    found = {"message": {"content": ""}, "finish_reason": "length", "index": 0}
    scripted.script = lambda body: Raw(json.dumps({"choices": [found]}).encode())
    check(endpoint_of(scripted), tmp_path)
    assert len(scripted.bodies) == 1


def test_the_longest_answer_of_a_recipe_is_asked_for():
    dialogues = DialogueSettings().model_dump()
    asked = RECIPES.get("aiev-instruct").parameters(dialogues)
    assert asked == {"temperature": 0.7, "top_p": 0.95, "max_tokens": 2048}
