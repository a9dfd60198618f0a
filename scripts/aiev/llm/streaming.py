"""Answers that are read while they are written: for conversations of the interpreter.

They are charged to the budget like any other call, and are not in the ledger: a user who asks again
wants another answer.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import openai

from aiev.core.errors import EndpointError
from aiev.core.locks import POLL_SECONDS
from aiev.llm.budget import Budget, max_tokens_of
from aiev.llm.endpoints.base import API_KEY, Endpoint
from aiev.llm.failures import ServerError, describe_error, may_be_billed
from aiev.llm.http import connect
from aiev.llm.requests import Question, body_of, request_of
from aiev.llm.responses import (
    Answer,
    count_of,
    is_broken_off,
    is_filtered,
    text_of,
    tokens_of,
    valid,
)
from aiev.llm.secrets import Redactor


@dataclass(frozen=True)
class Sampling:
    """How answers are sampled."""

    temperature: float | None = 0.0
    top_p: float | None = 1.0
    max_tokens: int = 1024
    seed: int | None = 0


class StreamingClient:
    """Asks one endpoint; safe for many threads once it was started.

    extra: added to each request, where the server needs it. end_of_turn: a token that the server
    writes at an answer's end, which is no part of it; "" where it writes none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        sampling: Sampling,
        timeout: float,
        budget: Budget | None = None,
        extra: Mapping[str, Any] | None = None,
        end_of_turn: str = "",
    ):
        self.endpoint, self.sampling, self.budget = endpoint, sampling, budget
        self.extra = dict(extra or {})
        self.timeout, self.end_of_turn = timeout, end_of_turn
        self.prompt_tokens = self.completion_tokens = 0

    def start(self) -> None:
        """Start a local server, or read the key, before the first question.

        A local server ends with the thread that started it: who asks from threads starts it first,
        from one that stays. Raises UserError.
        """
        _ = self._client

    @cached_property
    def _client(self) -> openai.OpenAI:
        self.endpoint.start()
        return connect(openai.OpenAI, self.endpoint, self.timeout, openai.DEFAULT_MAX_RETRIES)

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(self.endpoint.secrets())

    def stream(
        self, messages: Sequence[Mapping[str, str]], sampling: Sampling | None = None
    ) -> "AnswerStream":
        """An answer to these messages. Raises EndpointError, BudgetError."""
        chosen = sampling or self.sampling
        question = Question(
            messages, chosen.temperature, chosen.top_p, chosen.max_tokens, chosen.seed
        )
        request = request_of(self.endpoint, question)
        limits = max_tokens_of(messages, chosen.max_tokens)
        key = uuid.uuid4().hex  # equal questions may be under way at the same time
        client = self._client
        while self.budget and not self.budget.reserve(key, request["model"], limits):
            time.sleep(POLL_SECONDS)
        stream = AnswerStream(self, key, request["model"], limits)
        body = body_of(self.endpoint, request) | self.extra
        known = {name: body.pop(name) for name in ("model", "messages")}
        try:
            stream.chunks = client.chat.completions.create(
                **known, stream=True, stream_options={"include_usage": True}, extra_body=body
            )
        except BaseException as error:
            stream.charge(limits if may_be_billed(error) else None)
            if isinstance(error, openai.APIError):
                raise self.error(error) from None
            raise
        return stream

    def error(self, error: Exception) -> EndpointError:
        """The error in words, without the endpoint's secrets."""
        words = self.endpoint.state() or self._redactor.redact(describe_error(error))
        denied = isinstance(error, openai.APIStatusError) and error.status_code in (401, 403)
        return EndpointError(
            f"the model {self.endpoint.model} does not answer: {words}",
            where=self.endpoint.base_url or "the vendor's default address",
            hint=f"check {API_KEY}" if denied else "check the server and the model's name",
        )


class AnswerStream:
    """One answer: an iterator over pieces of its text. finish_reason: the server's word for why it
    ended, "" before that. tokens: of the prompt and the answer, once it is closed."""

    def __init__(self, client: StreamingClient, key: str, model: str, limits: tuple[int, int]):
        self.chunks: Any = ()
        self.finish_reason = ""
        self.tokens = (0, 0)
        self._client, self._key, self._model, self._limits = client, key, model, limits
        self._text: list[str] = []
        self._usage = (0, 0)
        self._charged = False

    def __iter__(self) -> Iterator[str]:
        """Raises EndpointError where the server fails before the answer's end."""
        chunks, chunk = iter(self.chunks), None
        while True:
            try:
                chunk = next(chunks, None)
                text = self._read(chunk) if chunk else ""
            except Exception as error:  # of the HTTP library, whichever it is, or what it read
                raise self._client.error(error) from None
            if text:
                self._text.append(text)
                yield text
            if chunk is None:
                return self._check_end()

    def _check_end(self) -> None:
        if is_filtered(self.finish_reason) or is_broken_off(self.finish_reason):
            words = f"the server ended the answer: {self.finish_reason}"
        elif not self.finish_reason and not self._text and self._usage == (0, 0):
            words = "the server sent no answer, nor an error"
        else:
            return
        raise self._client.error(ValueError(words))

    def close(self) -> None:
        """Break off the connection, which stops the model, and pay for what was written."""
        if hasattr(self.chunks, "close"):
            self.chunks.close()
        written = Answer("".join(self._text), self.finish_reason, *self._usage)
        self.charge(tokens_of(written, self._limits))

    def charge(self, tokens: tuple[int, int] | None) -> None:
        """Charge the call, once; None for a call that costs nothing."""
        if self._charged:
            return
        self._charged = True
        if tokens:
            self.tokens = tokens
            self._client.prompt_tokens += tokens[0]
            self._client.completion_tokens += tokens[1]
        if budget := self._client.budget:
            if tokens:
                budget.commit(self._key, self._model, tokens)
            else:
                budget.release(self._key)

    def _read(self, chunk: Any) -> str:
        if getattr(chunk, "usage", None):
            self._usage = (count_of(chunk, "prompt_tokens"), count_of(chunk, "completion_tokens"))
        extra = getattr(chunk, "model_extra", None) or {}
        told = getattr(chunk, "object", None) == "error" or "error" in extra
        if told and (error := ServerError.inside(chunk)):
            raise ValueError(str(error))
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish_reason = str(choice.finish_reason or self.finish_reason)
        delta = choice.delta
        said = (delta.content or getattr(delta, "refusal", None)) if delta else None
        text = valid(text_of(said) or "")
        end = self._client.end_of_turn
        return text.removesuffix(end) if end else text
