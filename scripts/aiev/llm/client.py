"""One client for every model: ledger first, then the budget, then the endpoint, with retries.

No model call goes around `Chat.ask`. An answer is on record before its caller sees it, and a call
that was sent is waited for even where its caller has given up: it is paid for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import openai

from aiev.core.errors import EndpointError, UserError
from aiev.core.hashing import of_json
from aiev.core.log import log
from aiev.llm.budget import Spending, most_tokens
from aiev.llm.endpoints.base import API_KEY, Endpoint
from aiev.llm.ledger import TURN, Answer, Ledger
from aiev.llm.responses import answer_of, tokens_of, valid
from aiev.llm.retries import (
    LONGEST_LIMIT,
    NO_ANSWER,
    TRANSIENT,
    ContextFull,
    NoAnswer,
    asked_to_wait,
    no_answer,
    told,
    was_sent,
)

ATTEMPTS = 5
FIRST_PAUSE = 0.5
"""Seconds before the first retry; doubled each time."""

TIMEOUTS = 2
"""Attempts that may take their full time: a server that hangs is not waited for five times."""


class Chat:
    """Asks one endpoint; as many requests are under way at once as it has slots.

    used: keys of the answers that were needed, recalled or not.
    timeout: seconds that one request may take. spending: where calls are noted, and what of them
    may be spent; None: nowhere, and no limit.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        timeout: float = 300.0,
        spending: Spending | None = None,
    ):
        self.endpoint, self.ledger, self.spending = endpoint, ledger, spending
        self.asked = self.recalled = self.prompt_tokens = self.completion_tokens = 0
        self._places = asyncio.Semaphore(endpoint.slots)
        self._same: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.used: set[str] = set()
        self._sent: set[asyncio.Task] = set()
        self._closed = False
        self._timeout = timeout

    @cached_property
    def _client(self) -> openai.AsyncOpenAI:
        """Made, and a local server started, for the first question that is not on record: who
        replays needs neither a server nor a key. It holds up the others for the time of the start;
        from a thread, the server would end with that thread."""
        endpoint = self.endpoint
        endpoint.start()
        return openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            timeout=self._timeout,
            max_retries=0,
            # A proxy of the environment is not asked for a server on this machine.
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False) if endpoint.local else None,
        )

    async def __aenter__(self) -> "Chat":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_) -> None:
        # After a mistake the calls under way are waited for. A user who interrupts wants out.
        if kind and not issubclass(kind, Exception):
            for task in self._sent:
                task.cancel()
        await self.close()

    async def close(self) -> None:
        """Take no question any more, wait for the calls under way, and keep their answers."""
        self._closed = True
        await asyncio.gather(*self._sent, return_exceptions=True)
        if "_client" in vars(self):
            await self._client.close()

    async def ask(
        self,
        messages: Sequence[dict[str, str]],
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_tokens: int = 512,
        seed: int = 0,
        conversation: int | None = None,
    ) -> Answer:
        """The model's answer to `messages`, from the ledger if it was given before.

        conversation: its place in the server's memory, where the start of `messages` is still read
        from last time. Left to itself, llama.cpp gives the place to whoever shares the example at
        the start of all prompts, and reads each conversation anew at every turn.

        Raises NoAnswer when the conversation is too long or refused, EndpointError when the server
        keeps failing after retries, BudgetError before a call that could pass the budget.
        """
        request = {
            **self.endpoint.identity(),
            "messages": [{"role": m["role"], "content": valid(m["content"])} for m in messages],
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "seed": seed,
        }
        # Who asks the same at the same time waits, and finds the answer on record.
        key = of_json(request)
        self.used.add(key)
        async with self._same.setdefault(key, asyncio.Lock()):
            answer = self._recall(request)
            if answer:
                return answer
            async with self._places:
                if self._closed:
                    raise asyncio.CancelledError
                call = asyncio.create_task(self._call(key, request, conversation))
                self._sent.add(call)
                call.add_done_callback(self._sent.discard)
                return await asyncio.shield(call)

    def _recall(self, request: dict[str, Any], alone: bool = False) -> Answer | None:
        """The answer on record. That there was none is on record for who replays; else it is asked
        again, which costs nothing: the context may be larger now.

        alone: this task is inside of `Ledger.alone` with the request's key.
        """
        answer = self.ledger.find(request)
        if answer and answer.finish_reason in NO_ANSWER:
            if self.ledger.mode == "replay":
                raise NO_ANSWER[answer.finish_reason]("the ledger says so")
            return None
        if answer and self.spending and self.ledger.mode == "record":
            self.spending.settle(answer.key, tokens_of(answer, most_tokens(request)), alone)
        self.recalled += answer is not None
        return answer

    async def _call(self, key: str, request: dict[str, Any], conversation: int | None) -> Answer:
        """Ask the model, once for all processes that share the ledger, and keep the answer."""
        async with self.ledger.alone(key):
            answer = self._recall(request, alone=True)
            if answer:
                return answer
            async with self._noted(key, request) as bill:
                try:
                    answer = await self._send(key, request, conversation)
                    bill.append(answer)
                    self._check_whole(answer, request)
                except NoAnswer as none:
                    self.ledger.add(request, Answer("", none.reason, 0, 0))
                    raise
                answer = self.ledger.add(request, answer)
        self.asked += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        return answer

    def _check_whole(self, answer: Answer, request: dict[str, Any]) -> None:
        """A server of ours ends an answer where its context is full, as if that were its limit of
        tokens; on record, the half would be the answer in a larger context too."""
        cut = answer.finish_reason == "length" and answer.completion_tokens < request["max_tokens"]
        if cut and self.endpoint.kind != "openai":
            raise ContextFull(f"the context was full after {answer.completion_tokens} tokens")

    @asynccontextmanager
    async def _noted(self, key: str, request: dict[str, Any]) -> AsyncIterator[list[Answer]]:
        """Note the call before it is made, and then what it took: of the answer put in the list."""
        bill: list[Answer] = []
        if not self.spending:
            yield bill
            return
        await self._reserve(key, request)
        try:
            yield bill
        except Exception:
            if not bill:
                self.spending.drop(key)  # of nothing, where the last attempt was noted as lost
            raise
        finally:
            if bill:
                tokens = tokens_of(bill[0], most_tokens(request))
                self.spending.paid(key, request["model"], tokens)

    async def _reserve(self, key: str, request: dict[str, Any]) -> None:
        """Note one attempt before it is made, as soon as there is room for it."""
        while self.spending and not self.spending.ask(key, request["model"], most_tokens(request)):
            await asyncio.sleep(TURN)

    def _lost(self, key: str, request: dict[str, Any]) -> None:
        """An attempt was sent and brought no answer: it may be on the bill, and counts in full."""
        if self.spending:
            self.spending.paid(key, request["model"], most_tokens(request))

    async def _send(self, key: str, request: dict[str, Any], conversation: int | None) -> Answer:
        """With retries. The caller has reserved the first attempt; one behind an attempt that was
        lost gets a reservation of its own, and so may meet the budget."""
        ours = self.endpoint.identity().keys() - {"model"}
        body = {k: v for k, v in request.items() if k not in ours}
        if conversation is not None and self.endpoint.conversations:
            body["extra_body"] = {"id_slot": conversation % self.endpoint.conversations}
        problem = ""
        lost, timeouts, attempt, limited = False, 0, 0, 0.0
        while attempt < ATTEMPTS:
            if lost:
                await self._reserve(key, request)
            try:
                return answer_of(await self._client.chat.completions.create(**body))
            except TRANSIENT as error:
                problem, lost = told(error), was_sent(error)
                wait = asked_to_wait(error)
                if wait and limited + wait <= LONGEST_LIMIT:
                    limited += wait
                    log.info("a rate limit: waiting %.0f s, as the server asks", wait)
                    await asyncio.sleep(wait)
                    continue
            except openai.BadRequestError as error:
                kind = no_answer(error)
                if kind:
                    raise kind(self._shown(str(error))) from None
                raise self._error(f"it refused the request: {error.message}") from None
            except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
                problem, hint = f"HTTP {error.status_code}: {error.message}", f"check {API_KEY}"
                raise self._error(problem, f"{hint}, then run the same command") from None
            except openai.APIStatusError as error:
                raise self._error(f"HTTP {error.status_code}: {error.message}") from None
            except (ValueError, openai.APIError) as error:
                problem, lost = f"an answer that is not a chat completion: {error}", True
            if lost:
                self._lost(key, request)
            shown = self._shown(problem)
            attempt += 1
            log.info("attempt %d of %d failed: %s", attempt, ATTEMPTS, shown)
            timeouts += problem.startswith("APITimeoutError")
            if timeouts == TIMEOUTS or self.endpoint.state():
                break
            if attempt < ATTEMPTS:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        raise self._error(problem)

    def _shown(self, text: str) -> str:
        """Without the key, which some servers repeat in what they say."""
        return text.replace(self.endpoint.api_key, "...") if self.endpoint.secret else text

    def _error(self, problem: str, hint: str = "") -> UserError:
        endpoint = self.endpoint
        place = endpoint.base_url or "the vendor's default address"
        reason = endpoint.state() or self._shown(problem)
        return EndpointError(
            f"the model {endpoint.model} does not answer: {reason}",
            where=f"{place}, log {endpoint.log_path}" if endpoint.log_path else place,
            hint=hint or "mend the server, then run the same command: every answer so far is kept",
        )


def open_chat(endpoint: Endpoint, aside: Mapping[str, Any], stage: str, timeout: float) -> Chat:
    """A client for a job. aside: the config's `ledger`, `prices` and `budget`. stage: a word by
    which its calls are summed up."""
    ledger = Ledger(Path(aside["ledger"]["path"]), aside["ledger"]["mode"])
    spending = Spending(ledger.root, stage, aside["prices"], aside["budget"])
    return Chat(endpoint, ledger, timeout, spending)
