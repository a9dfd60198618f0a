"""One client for every model: ledger first, then the budget, then the endpoint, with retries.

No model call of a run bypasses `ChatClient.complete`; conversations with the interpreter, which are
no part of a run, stream their answers (`streaming`). An answer is on record before its caller sees
it, and a call that was sent is waited for even where its caller has given up: it is paid for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from aiev.core.errors import EndpointError
from aiev.core.log import log
from aiev.llm.budget import Budget, max_tokens_of
from aiev.llm.costs import Tokens
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.failures import (
    UNANSWERABLE,
    Blocked,
    ContextFull,
    Refused,
    RequestFailed,
    Unanswerable,
    Unreachable,
    WrongRequest,
)
from aiev.llm.ledger import Answer, Ledger, key_of
from aiev.llm.requests import ROOM, Question, request_of
from aiev.llm.responses import is_filtered
from aiev.llm.retries import Failed, Tries
from aiev.llm.sending import STILL_BUSY, TOO_SLOW, Sender
from aiev.llm.thoughts import final_text

MAX_WAIT_SECONDS = 1800.0
"""For which a busy server is waited for, for one question."""

MAX_UNKNOWN_FAILURES = 0.25
"""Share of the questions that may fail in a way that nobody knows, before that ends the run."""

MIN_UNKNOWN_FAILURES = 5
"""So many may fail in any case: of a few questions a share says little."""

PROBE = [{"role": "user", "content": "Reply with the word OK."}]
"""A question that any server can answer: where it does, the fault was the other question's."""

PROBE_TOKENS, PROBE_TRIES = 16, Tries(failed=2, timed_out=1, max_wait=60.0)


class ChatClient:
    """Asks one endpoint; as many requests are under way at once as it has slots.

    timeout:  seconds that one request may take.
    budget:   where calls are charged, and what may be spent; None: nowhere, and no limit.
    max_wait: seconds for which a busy server is waited for, for one question.
    max_unknown_failures: share of the questions that may fail without ending the run.
    used:     keys of the answers that were needed, from the ledger or not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        timeout: float = 300.0,
        budget: Budget | None = None,
        *,
        max_wait: float = MAX_WAIT_SECONDS,
        max_unknown_failures: float = MAX_UNKNOWN_FAILURES,
    ):
        self.endpoint, self.ledger, self.budget = endpoint, ledger, budget
        self.asked = self.recalled = self.prompt_tokens = self.completion_tokens = 0
        self.failed = 0
        self.used: set[str] = set()
        self._max_failures = max_unknown_failures
        self._sender = Sender(endpoint, timeout, budget, max_wait)
        self._slots = asyncio.Semaphore(endpoint.slots)
        self._inflight: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._calls: set[asyncio.Task] = set()
        self._closed = False

    async def __aenter__(self) -> "ChatClient":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_) -> None:
        # After an error the calls under way are waited for. A user who interrupts wants out.
        if kind and not issubclass(kind, Exception):
            for task in self._calls:
                task.cancel()
        await self.close()

    async def close(self) -> None:
        """Accept no more questions, wait for the calls under way, and keep their answers."""
        self._closed = True
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._sender.close()
        if self.budget:
            self.budget.close()

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        temperature: float | None = 0.0,
        top_p: float | None = 1.0,
        max_tokens: int = 512,
        seed: int | None = 0,
        grammar: str | None = None,
        stop: Sequence[str] = (),
        conversation: int | None = None,
        more_room: bool = False,
    ) -> Answer:
        """The model's answer to `messages` without its thoughts, from the ledger if it is there.

        messages: one of the assistant's at the end begins the answer, which is then what follows.
        grammar: of the answer, in GBNF, for servers that sample under one. stop: what ends it.
        more_room: ask for an answer that was cut off at `max_tokens` again with twice as many,
        once; `Answer.cut_off` says whether that one was cut off too. A model that cannot write so
        many leaves the first one.
        conversation: its slot in the server's memory, where the start of `messages` is still read
        from last time. Left to itself, llama.cpp gives the slot to any conversation that shares the
        examples at the start of all prompts, and reads each one anew at every turn.

        Raises Unanswerable when this question has no answer (too long, refused, the server fails at
        it alone), EndpointError when the server fails altogether, BudgetError before a call that
        could pass the budget.
        """
        question = Question(messages, temperature, top_p, max_tokens, seed, grammar, stop=stop)
        answer = await self._ask(question, conversation)
        if more_room and answer.cut_off:
            question = replace(question, max_tokens=ROOM * max_tokens, again=True)
            with suppress(ContextFull):
                answer = await self._ask(question, conversation)
            answer = replace(answer, asked_again=True)
        whole = question.begun + answer.text.removeprefix(question.begun)
        return replace(answer, text=final_text(whole).removeprefix(question.begun))

    async def _ask(self, question: Question, conversation: int | None) -> Answer:
        request = request_of(self.endpoint, question)
        # Of equal questions at the same time, one is asked; the others find its answer on record.
        key = self.ledger.key(request)
        self.used.add(key)
        async with self._inflight.setdefault(key, asyncio.Lock()):
            answer = self._lookup(request)
            if answer:
                return answer
            async with self._slots:
                if self._closed:
                    raise asyncio.CancelledError
                call = asyncio.create_task(self._call(key, request, question, conversation))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
                return await asyncio.shield(call)

    def _lookup(self, request: dict[str, Any]) -> Answer | None:
        """The answer on record.

        A question without an answer is on record too: in replay mode that is raised; in record mode
        the question is asked again, which costs nothing: the context may be larger now.
        """
        answer = self.ledger.find(request)
        if answer and answer.finish_reason in UNANSWERABLE:
            if self.ledger.mode == "replay":
                raise UNANSWERABLE[answer.finish_reason]("on record in the ledger")
            return None
        if answer:
            self.recalled += 1
            _check_filtered(answer)
        return answer

    async def _call(
        self, key: str, request: dict[str, Any], question: Question, conversation: int | None
    ) -> Answer:
        """Ask the model, once for all processes that share the ledger, and record the answer."""
        async with self.ledger.lock(key):
            answer = self._lookup(request)
            if answer:
                return answer
            try:
                answer = await self._send(key, request, question, conversation)
            except Unanswerable as error:
                self.ledger.add(request, Answer("", error.reason, 0, 0))
                raise
            answer = self.ledger.add(request, answer)
        self.asked += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        _check_filtered(answer)
        return answer

    async def _send(
        self, key: str, request: dict[str, Any], question: Question, conversation: int | None
    ) -> Answer:
        limits = max_tokens_of(question.messages, question.max_tokens)
        answered = self.asked
        try:
            answer = await self._sender.send(key, request, limits, conversation)
        except Failed as error:
            await self._check_server(error, question, self.asked > answered)
            if not error.busy:
                raise self._give_up(request, str(error)) from None
            answer = await self._once_more(key, request, limits, conversation)
        except Blocked as error:
            if not await self._probe(question):
                raise
            raise self._give_up(request, error.message) from None
        except WrongRequest as error:
            if not question.again:
                raise
            # It was right with fewer tokens: this model cannot write so many.
            raise ContextFull(str(error)) from None
        # A server of ours ends an answer where its context is full, as if that were the limit of
        # tokens; on record, the half would be the answer in a larger context too.
        short = answer.cut_off and answer.completion_tokens < question.max_tokens
        if short and self.endpoint.served_here:
            raise ContextFull(f"the context was full after {answer.completion_tokens} tokens")
        return answer

    async def _check_server(self, error: Failed, question: Question, answers: bool) -> None:
        """Raise EndpointError if the server is at fault when all attempts at a question have
        failed, and not the question alone.

        answers: whether the server has answered another question meanwhile. If not, it is asked
        one that any server can answer. Without this, one question that makes a server fail would
        end each run at the same place.
        """
        if error.unreachable:
            raise self._sender.error(str(error), kind=Unreachable) from None
        if error.timed_out and self.endpoint.served_here:
            # It was at work all the time: how busy a machine is decides no dialogue.
            raise self._sender.error(str(error), TOO_SLOW) from None
        if self.endpoint.state() or not (answers or await self._probe(question)):
            raise self._sender.error(str(error), STILL_BUSY if error.busy else "") from None

    async def _once_more(
        self, key: str, request: dict[str, Any], limits: Tokens, conversation: int | None
    ) -> Answer:
        """Ask again after a server that was busy all the time has answered another question: the
        limit may be gone, or it may be this question alone that is above it."""
        try:
            return await self._sender.send(key, request, limits, conversation, PROBE_TRIES)
        except Failed as error:
            raise self._give_up(request, str(error)) from None

    def _give_up(self, request: dict[str, Any], words: str) -> Exception:
        """The exception for a question at which alone the server fails: EndpointError once there
        are too many. One that failed in an earlier run too is in no share, and what is recalled
        counts as answered: the same command can finish."""
        before = self.ledger.find(request)
        if before and before.finish_reason == RequestFailed.reason:
            return RequestFailed(words)
        self.failed += 1
        total = self.asked + self.recalled + self.failed
        if self.failed > max(MIN_UNKNOWN_FAILURES, self._max_failures * total):
            return self._sender.error(
                f"{self.failed} of {total} questions failed, the last one with: {words}",
                "see the log; execution.max_unknown_failures is the share that may fail",
            )
        log.warning(
            "giving up on one request: the server answers others but fails on this one: %s", words
        )
        return RequestFailed(words)

    async def _probe(self, question: Question) -> bool:
        """Whether the server answers a short question with the same parameters."""
        probe = replace(question, messages=PROBE, max_tokens=PROBE_TOKENS, grammar=None, stop=())
        request, limits = request_of(self.endpoint, probe), max_tokens_of(PROBE, PROBE_TOKENS)
        try:
            await self._sender.send(key_of(request), request, limits, tries=PROBE_TRIES)
        except (Failed, Unanswerable, EndpointError) as error:
            log.info("the server does not answer a short question either: %s", error)
            return False
        return True


def _check_filtered(answer: Answer) -> None:
    if is_filtered(answer.finish_reason):
        raise Refused(f"the vendor's filter ended the answer: {answer.finish_reason}")


def open_client(
    endpoint: Endpoint, execution: Mapping[str, Any], stage: str, timeout: float
) -> ChatClient:
    """A client for a job.

    execution: the config's `ledger`, `prices` and `budget`. stage: a word by which the costs of its
    calls are summed up.
    """
    ledger = Ledger(Path(execution["ledger"]["path"]), execution["ledger"]["mode"])
    budget = Budget(ledger.root, stage, execution["prices"], execution["budget"])
    return ChatClient(
        endpoint,
        ledger,
        timeout,
        budget,
        max_wait=execution.get("max_wait_seconds", MAX_WAIT_SECONDS),
        max_unknown_failures=execution.get("max_unknown_failures", MAX_UNKNOWN_FAILURES),
    )
