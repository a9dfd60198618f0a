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
