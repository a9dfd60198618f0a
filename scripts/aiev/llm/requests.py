"""What is sent to a server: the question, and the config's changes to its parameters.

`models.<role>.request` in the config fits requests to servers that differ from OpenAI's API:

  temperature: null                      leaves a parameter out
  max_tokens: max_completion_tokens      sends it under another name
  reasoning_effort: low                  adds one
  extra_body: {top_k: 20}                adds several
  headers: {X-Team: TEAM_TOKEN}          adds an HTTP header with an environment variable's value

Everything that is sent and decides the answer is in the ledger's key; what equals the API's default
is in the key, and is not sent: some servers refuse top_p of 1.0. A seed that is left out is in the
key under another name: two samples of one prompt are two questions, and not one answer read twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiev.llm.endpoints.base import PARAMETERS, UNSENT_SEED, Endpoint
from aiev.llm.responses import valid

SEND_DEFAULTS = "send_defaults"
"""In the key where it is on: the server's own default is another one."""

_NOT_SENT = ("headers", "extra_body", SEND_DEFAULTS)

ROOM = 2
"""How many times as many tokens an answer that was cut off gets the second time."""


@dataclass(frozen=True)
class Question:
    """What a caller asks: messages and sampling parameters. None leaves a parameter out.

    A last message of the assistant's begins the answer, for servers that go on with it.

    grammar: of the answer, in GBNF; not sent to a server that cannot sample under one.
    stop: strings each of which ends the answer before it.
    again: whether the model has answered it with fewer tokens, and was cut off; decides nothing.
    """

    messages: Sequence[Mapping[str, str]]
    temperature: float | None
    top_p: float | None
    max_tokens: int
    seed: int | None
    grammar: str | None = None
    again: bool = False
    stop: Sequence[str] = ()

    @property
    def begun(self) -> str:
        """The beginning of the answer that the question gives; "" for none. Thoughts are told from
        code by the fences, one of which it may have opened: an answer is read behind it."""
        last = self.messages[-1]
        return last["content"] if last["role"] == "assistant" else ""


def request_of(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    """The request as it enters the ledger's key: the model's identity, the messages and all
    parameters after the config's changes."""
    asked = {name: getattr(question, name) for name in PARAMETERS}
    changes = endpoint.request
    parameters: dict[str, Any] = {}
    for name, value in asked.items():
        renamed = changes.get(name, name)
        if value is not None and renamed is not None:
            parameters[renamed] = _number(name, value)
    if changes.get("seed", "seed") is None and question.seed is not None:
        parameters[UNSENT_SEED] = question.seed
    if changes.get(SEND_DEFAULTS):
        parameters[SEND_DEFAULTS] = True
    added = {k: v for k, v in changes.items() if k not in PARAMETERS and k not in _NOT_SENT}
    return {
        **endpoint.identity(),
        "messages": [
            {"role": m["role"], "content": valid(m["content"])} for m in question.messages
        ],
        **parameters,
        **({"grammar": question.grammar} if question.grammar and endpoint.grammars else {}),
        **({"stop": [*question.stop]} if question.stop else {}),
        **((endpoint.goes_on or {}) if question.begun else {}),
        **added,
        **(changes.get("extra_body") or {}),
    }


def body_of(endpoint: Endpoint, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request as it is sent: without what identifies the model here, and without the API's
    defaults unless `send_defaults` asks for them."""
    ours = (endpoint.identity().keys() - {"model"}) | {UNSENT_SEED, SEND_DEFAULTS}
    default = {} if request.get(SEND_DEFAULTS) else endpoint.api_defaults
    return {
        name: value
        for name, value in request.items()
        if name not in ours and not (name in default and default[name] == value)
    }


def _number(name: str, value: float) -> float:
    return float(value) if name in ("temperature", "top_p") else value
