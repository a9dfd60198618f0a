"""One client for every model: ledger first, then the endpoint, with retries.

No model call goes around `Chat.ask`. An answer is on record before its caller sees it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from aiev.endpoints import Endpoint
from aiev.errors import EndpointError, UserError
from aiev.ledger import Answer, Ledger
from aiev.progress import log

ATTEMPTS = 5
FIRST_PAUSE = 0.5
"""Seconds before the first retry; doubled each time."""

TRANSIENT = (
    openai.APIConnectionError,
    openai.APITimeoutError,
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
    ) -> Answer:
        """The model's answer to `messages`, from the ledger if it was given before.

        Raises ContextFull when the conversation is too long, EndpointError when the server keeps
        failing after retries.
        """
        request = {
            **self.endpoint.identity(),
            "messages": [{"role": m["role"], "content": m["content"]} for m in messages],
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "seed": seed,
        }
        answer = self.ledger.find(request)
        if answer:
            self.recalled += 1
            return answer
        async with self._places:
            answer = await self._send(request)
        self.asked += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        return self.ledger.add(request, answer)

    async def _send(self, request: dict[str, Any]) -> Answer:
        body = {k: v for k, v in request.items() if k not in ("kind", "digest")}
        problem = ""
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
            except openai.APIStatusError as error:
                raise self._error(f"HTTP {error.status_code}: {error.message}") from error
            except (ValueError, openai.APIError) as error:
                problem = f"an answer that is not a chat completion: {error}"
            log.info("attempt %d of %d failed: %s", attempt + 1, ATTEMPTS, problem)
            if self.endpoint.state():
                break
        raise self._error(problem)

    def _error(self, problem: str) -> UserError:
        endpoint = self.endpoint
        place = endpoint.base_url or "the vendor's default address"
        return EndpointError(
            f"the model {endpoint.model} does not answer: {endpoint.state() or problem}",
            where=f"{place}, log {endpoint.log_path}" if endpoint.log_path else place,
            todo="mend the server, then run the same command: every answer so far is kept",
        )


def _answer(completion: Any) -> Answer:
    """Raises ValueError for anything but a chat completion with one text choice."""
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        raise ValueError(str(completion)[:200])
    choice, usage = completion.choices[0], completion.usage
    if choice is None or choice.message is None:
        raise ValueError(str(completion)[:200])
    return Answer(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason or "unknown",
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )
