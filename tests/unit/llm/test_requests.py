"""What is sent to a server, and what is in the ledger's key."""

from dataclasses import dataclass
from typing import ClassVar

from aiev.llm.endpoints.base import Endpoint
from aiev.llm.ledger import key_of
from aiev.llm.requests import Question, body_of, request_of

ASKED = [{"role": "user", "content": "Yes or no?"}]
GRAMMAR = 'root ::= "yes" | "no"'


@dataclass
class UnderGrammar(Endpoint):
    grammars: ClassVar[bool] = True


def question(grammar=None):
    return Question(ASKED, 0.5, 0.95, 8, 1, grammar)


def test_a_grammar_is_sent_and_in_the_key():
    endpoint = UnderGrammar("llamacpp", "m", "v", None, slots=1)
    request = request_of(endpoint, question(GRAMMAR))
    assert body_of(endpoint, request)["grammar"] == GRAMMAR
    assert key_of(request) != key_of(request_of(endpoint, question()))
    assert "grammar" not in request_of(endpoint, question())


def test_a_server_that_knows_no_grammar_gets_none():
    endpoint = Endpoint("openai", "m", "v", None, slots=1)
    assert request_of(endpoint, question(GRAMMAR)) == request_of(endpoint, question())


@dataclass
class GoesOn(Endpoint):
    goes_on: ClassVar[dict[str, bool]] = {"continue_final_message": True}


def test_a_stop_string_and_the_beginning_of_an_answer_are_sent_and_in_the_key():
    """And nothing of them where there is none: the keys of all other questions stay."""
    begun = [*ASKED, {"role": "assistant", "content": "I say:"}]
    able = GoesOn("vllm", "m", "v", None, slots=1)
    plain = Endpoint("vllm", "m", "v", None, slots=1)
    request = request_of(able, Question(begun, 0.5, 0.95, 8, 1, stop=("\n",)))
    body = body_of(able, request)
    assert body["continue_final_message"] is True and body["stop"] == ["\n"]
    assert key_of(request) != key_of(request_of(able, Question(begun, 0.5, 0.95, 8, 1)))
    assert request_of(able, question()) == request_of(plain, question())
    assert {"stop", "continue_final_message"}.isdisjoint(request_of(able, question()))


def test_a_default_of_the_api_is_sent_where_it_is_asked_for():
    """llama.cpp's own default of top_p is 0.95, vLLM's that of the model's generation_config."""
    asked = Question(ASKED, 0.5, 1.0, 8, 1)
    plain = Endpoint("openai", "m", "v", None, slots=1)
    whole = Endpoint("openai", "m", "v", None, slots=1, request={"send_defaults": True})
    assert "top_p" not in body_of(plain, request_of(plain, asked))
    body = body_of(whole, request_of(whole, asked))
    assert body == body_of(plain, request_of(plain, asked)) | {"top_p": 1.0}
    # It may be another answer.
    assert key_of(request_of(whole, asked)) != key_of(request_of(plain, asked))


def test_a_parameter_that_is_null_is_not_sent():
    """Some models refuse temperature beside top_p, or either of them (case 15)."""
    asked = Question(ASKED, 0.5, 0.9, 8, 1)
    for name in ("temperature", "top_p"):
        endpoint = Endpoint("openai", "m", "v", None, slots=1, request={name: None})
        body = body_of(endpoint, request_of(endpoint, asked))
        assert name not in body and len({"temperature", "top_p"} & set(body)) == 1
    plain = Endpoint("openai", "m", "v", None, slots=1)
    # As with `dialogues: {sampling: {top_p: null}}`.
    body = body_of(plain, request_of(plain, Question(ASKED, 0.5, None, 8, 1)))
    assert body["temperature"] == 0.5 and "top_p" not in body
