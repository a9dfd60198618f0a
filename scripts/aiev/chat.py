"""One client for every model: ledger first, then the endpoint, with retries.

No model call goes around `Chat.ask`. An answer is on record before its caller sees it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import openai

from aiev.digests import of_json
from aiev.endpoints import API_KEY, Endpoint
from aiev.errors import EndpointError, UserError
from aiev.ledger import Answer, Ledger
from aiev.progress import log

ATTEMPTS = 5
FIRST_PAUSE = 0.5
"""Seconds before the first retry; doubled each time."""

TIMEOUTS = 2
"""Attempts that may take their full time: a server that hangs is not waited for five times."""

TRANSIENT = (
    openai.APIConnectionError,
    openai.InternalServerError,
    openai.RateLimitError,
)


class ContextFull(Exception):
    """The conversation no longer fits the model's context."""


class Chat:
    """Asks one endpoint; as many requests are under way at once as it has slots.

    timeout: seconds that one request may take.
    """

    def __init__(self, endpoint: Endpoint, ledger: Ledger, timeout: float = 300.0):
        self.endpoint, self.ledger = endpoint, ledger
        self.asked = self.recalled = self.prompt_tokens = self.completion_tokens = 0
        self._places = asyncio.Semaphore(endpoint.slots)
        self._same: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key=endpoint.api_key, timeout=timeout, max_retries=0
        )

    async def close(self) -> None:
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

        Raises ContextFull when the conversation is too long, EndpointError when the server keeps
        failing after retries.
        """
        request = {
            **self.endpoint.identity(),
            "messages": [{"role": m["role"], "content": _valid(m["content"])} for m in messages],
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "seed": seed,
        }
        # Who asks the same at the same time waits, and finds the answer on record.
        async with self._same.setdefault(of_json(request), asyncio.Lock()):
            answer = self.ledger.find(request)
            if answer:
                self.recalled += 1
                return answer
            async with self._places:
                answer = await self._send(request, conversation)
            self.asked += 1
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
            return self.ledger.add(request, answer)

    async def _send(self, request: dict[str, Any], conversation: int | None) -> Answer:
        body = {k: v for k, v in request.items() if k not in ("kind", "digest")}
        if conversation is not None and self.endpoint.conversations:
            body["extra_body"] = {"id_slot": conversation % self.endpoint.conversations}
        problem = ""
        timeouts = 0
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                return _answer(await self._client.chat.completions.create(**body))
            except TRANSIENT as error:
                problem = f"{type(error).__name__}: {error}"
            except openai.BadRequestError as error:
                if "context" in str(error):
                    raise ContextFull(str(error)) from error
                raise self._error(f"it refused the request: {error.message}") from error
            except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
                # Some servers repeat the key in what they say.
                said = error.message.replace(self.endpoint.api_key, "...")
                problem, todo = f"HTTP {error.status_code}: {said}", f"check {API_KEY}"
                raise self._error(problem, f"{todo}, then run the same command") from None
            except openai.APIStatusError as error:
                raise self._error(f"HTTP {error.status_code}: {error.message}") from error
            except (ValueError, openai.APIError) as error:
                problem = f"an answer that is not a chat completion: {error}"
            log.info("attempt %d of %d failed: %s", attempt + 1, ATTEMPTS, problem)
            timeouts += problem.startswith("APITimeoutError")
            if timeouts == TIMEOUTS or self.endpoint.state():
                break
        raise self._error(problem)

    def _error(self, problem: str, todo: str = "") -> UserError:
        endpoint = self.endpoint
        place = endpoint.base_url or "the vendor's default address"
        return EndpointError(
            f"the model {endpoint.model} does not answer: {endpoint.state() or problem}",
            where=f"{place}, log {endpoint.log_path}" if endpoint.log_path else place,
            todo=todo or "mend the server, then run the same command: every answer so far is kept",
        )


def _answer(completion: Any) -> Answer:
    """Raises ValueError for anything but a chat completion with one text choice."""
    try:
        choice = completion.choices[0]
        text = choice.message.content or ""
    except (AttributeError, IndexError, TypeError):
        text = None
    # The client takes servers at their word: any field may be of any type.
    if not isinstance(text, str):
        raise ValueError(str(completion)[:200])
    return Answer(
        text=_valid(text),
        finish_reason=str(getattr(choice, "finish_reason", None) or "unknown"),
        prompt_tokens=_count(completion, "prompt_tokens"),
        completion_tokens=_count(completion, "completion_tokens"),
    )


def _count(completion: Any, name: str) -> int:
    count = getattr(getattr(completion, "usage", None), name, None)
    return count if isinstance(count, int) else 0


def _valid(text: str) -> str:
    """Lone surrogates cannot travel as UTF-8: they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
