"""One question sent to an endpoint, with retries, each attempt charged to the budget."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import openai
import tenacity

from aiev.core.errors import EndpointError
from aiev.core.locks import POLL_SECONDS
from aiev.core.log import log
from aiev.llm.budget import Budget
from aiev.llm.costs import Tokens
from aiev.llm.endpoints.base import API_KEY, Endpoint
from aiev.llm.failures import (
    UNANSWERABLE,
    Blocked,
    ServerError,
    WrongRequest,
    describe_error,
    may_be_billed,
    was_sent,
)
from aiev.llm.http import connect
from aiev.llm.requests import body_of
from aiev.llm.responses import Answer, answer_of, is_broken_off, tokens_of
from aiev.llm.retries import USUAL_TRIES, Busy, Failed, History, Tries
from aiev.llm.secrets import Redactor

NOTICE_SECONDS = 30.0
"""Time between two notices of the same kind on the screen."""

STILL_BUSY = (
    "raise execution.max_wait_seconds, or run the same command later: every answer so far is kept"
)
"""What to do about a server that stays busy."""

TOO_SLOW = (
    "raise execution.models.<role>.timeout_seconds, or give this machine less to do at once, then "
    "run the same command: every answer so far is kept"
)
"""What to do about a server of ours that needs longer for an answer than it may."""


@dataclass
class Bill:
    """What one attempt is charged; None for nothing."""

    tokens: Tokens | None = None


class Sender:
    """Sends requests to one endpoint.

    timeout:     seconds that one request may take.
    budget:      where calls are charged; None: nowhere.
    max_wait:    seconds for which a busy server is waited for, for one question.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, budget: Budget | None, max_wait: float):
        self.endpoint, self.budget, self.max_wait = endpoint, budget, max_wait
        self._timeout = timeout
        self._noticed: dict[str, float] = {}

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        """Made, and a local server started, for the first question that is not on record: a replay
        needs neither a server nor a key. The event loop stands still for the time of the start;
        from a thread, the server would end with that thread."""
        self.endpoint.start()
        return connect(openai.AsyncOpenAI, self.endpoint, self._timeout)

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(self.endpoint.secrets())

    def redact(self, text: str) -> str:
        """The text without the endpoint's secrets."""
        return self._redactor.redact(text)

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.close()

    async def send(
        self,
        key: str,
        request: Mapping[str, Any],
        limits: Tokens,
        place: int | None = None,
        tries: Tries = USUAL_TRIES,
    ) -> Answer:
        """The server's answer.

        key: of the question, for the budget. limits: the most tokens that it can take. place: slot
        of the conversation in the server's memory.

        Raises Unanswerable for a question that the server refuses, Failed after so many `tries` or
        where the server stays busy, EndpointError where the config is wrong, BudgetError.
        """
        history = History(min(self.max_wait, tries.max_wait))
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type((Busy, Failed)),
            wait=lambda state: history.pause(state.outcome.exception()),
            stop=lambda state: history.is_over(state.outcome.exception(), tries, self.endpoint),
            before_sleep=lambda state: self._report(state, history),
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, key, request, limits, place, history)
        except Busy as error:
            waited = f"it was busy for {history.waited:.0f} s: {error}"
            raise Failed(waited, busy=True) from None

    async def _attempt(
        self,
        key: str,
        request: Mapping[str, Any],
        limits: Tokens,
        place: int | None,
        history: History,
    ) -> Answer:
        body = body_of(self.endpoint, request)
        known = {name: body.pop(name) for name in ("model", "messages")}
        if place is not None and self.endpoint.conversations:
            body["id_slot"] = place % self.endpoint.conversations
        create = self._client.chat.completions.create
        async with self._billing(key, request["model"], limits) as bill:
            try:
                completion = await create(**known, extra_body=body)
            except openai.APIStatusError as error:
                found = ServerError.of(error)
                if found.meaning == "cut-off":
                    bill.tokens = limits
                    return Answer("", "length", 0, 0)
                raise self._meant(found, history) from None
            except (openai.APIError, ValueError, RecursionError) as error:
                bill.tokens = limits if may_be_billed(error) else None
                raise self._failed(error, history) from None
            except asyncio.CancelledError:
                bill.tokens = limits
                raise
            inside = ServerError.inside(completion)
            if inside:
                raise self._meant(inside, history)
            bill.tokens = limits
            answer = self._read(completion, history)
            bill.tokens = tokens_of(answer, limits)
        return answer

    def _read(self, completion: Any, history: History) -> Answer:
        try:
            answer = answer_of(completion)
        except ValueError as error:
            raise self._failed(error, history) from None
        if is_broken_off(answer.finish_reason):
            words = f"the server broke off its answer: {answer.finish_reason}"
            raise self._failed(ValueError(words), history)
        text, reason = self.redact(answer.text), self.redact(answer.finish_reason)
        return Answer(text, reason, answer.prompt_tokens, answer.completion_tokens)

    @asynccontextmanager
    async def _billing(self, key: str, model: str, limits: Tokens) -> AsyncIterator[Bill]:
        """Reserve what one attempt can take, as soon as there is room; commit what it took."""
        bill = Bill()
        if not self.budget:
            yield bill
            return
        while not self.budget.reserve(key, model, limits):
            self._notice("budget", "the rest of the budget is reserved by calls under way: waiting")
            await asyncio.sleep(POLL_SECONDS)
        try:
            yield bill
        finally:
            if bill.tokens:
                self.budget.commit(key, model, bill.tokens)
            else:
                self.budget.release(key)

    def _meant(self, error: ServerError, history: History) -> Exception:
        """The exception for what an error of the server means."""
        words = self.redact(str(error))
        if error.meaning in UNANSWERABLE:
            return UNANSWERABLE[error.meaning](words)
        if error.meaning == "busy":
            history.busy += 1
            return Busy(words, error.retry_after)
        if error.meaning == "configuration":
            kind = WrongRequest if error.status in (400, 422) else EndpointError
            if error.status == 403 and not error.explained:
                kind = Blocked
            return self.error(words, f"{_what_to_check(error)}, then run the same command", kind)
        history.failed += 1
        return Failed(words, retry_after=error.retry_after)

    def _failed(self, error: Exception, history: History) -> Failed:
        """The exception for an attempt without an answer that can be read."""
        history.failed += 1
        timed_out = isinstance(error, openai.APITimeoutError)
        history.timed_out += timed_out
        connecting = isinstance(error, openai.APIConnectionError) and not was_sent(error)
        return Failed(self.redact(describe_error(error)), timed_out, connecting)

    def _report(self, state: tenacity.RetryCallState, history: History) -> None:
        error, pause = state.outcome.exception(), state.upcoming_sleep
        if isinstance(error, Failed):
            log.info("attempt %d failed: %s", history.failed, error)
            return
        text = f"the server of {self.endpoint.model} is busy ({error}): waiting {pause:.0f} s, "
        self._notice("busy", f"{text}{self.max_wait:.0f} s at most for one question")

    def _notice(self, kind: str, text: str) -> None:
        """A line on the screen, once in a while: a thousand questions may wait for the same."""
        now = time.monotonic()
        first = now - self._noticed.get(kind, -NOTICE_SECONDS) >= NOTICE_SECONDS
        if first:
            self._noticed[kind] = now
        log.log(logging.WARNING if first else logging.DEBUG, "%s", text)

    def error(
        self, problem: str, hint: str = "", kind: type[EndpointError] = EndpointError
    ) -> EndpointError:
        """An error that ends the run: what the server said, where it is, what to do."""
        endpoint = self.endpoint
        place = endpoint.base_url or "the vendor's default address"
        reason = endpoint.state() or self.redact(problem)
        first = "start the server, or correct execution.models.<role>.base_url"
        if endpoint.served_here:
            first = "fix what the server's log says"
        return kind(
            f"the model {endpoint.model} does not answer: {reason}",
            where=f"{place}, log {endpoint.log_path}" if endpoint.log_path else place,
            hint=hint or f"{first}; then run the same command: every answer so far is kept",
        )


def _what_to_check(error: ServerError) -> str:
    if error.status in (401, 403):
        return f"check {API_KEY}"
    if error.status < 400 or error.status in (404, 405):
        return "check the model's base_url and its name"
    return "check the model's config"
