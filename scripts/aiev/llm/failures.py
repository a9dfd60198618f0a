"""Failed requests: what the server said, what it means, and whether it may be billed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai

from aiev.core.errors import EndpointError
from aiev.llm.error_table import RULES, Meaning
from aiev.llm.waiting import retry_after_seconds


class Unanswerable(Exception):
    """This question has no answer, whatever is done; other questions go on.

    reason: the word for it in records; the finish reason of the question's entry in the ledger.
    """

    reason: str


class Refused(Unanswerable):
    """The vendor's filter does not let the prompt through."""

    reason = "refused"


class ContextFull(Unanswerable):
    """The conversation no longer fits the model's context."""

    reason = "context-full"


class RequestFailed(Unanswerable):
    """The server fails at this question, and answers others."""

    reason = "request-failed"


class WrongRequest(EndpointError):
    """A parameter of the request is wrong, or its value is."""


class Unreachable(EndpointError):
    """No connection to the server was made, after retries."""


UNANSWERABLE = {kind.reason: kind for kind in (Refused, ContextFull, RequestFailed)}
"""By the finish reason that stands for them in the ledger."""


@dataclass(frozen=True)
class ServerError:
    """An error that a server sent: HTTP status, headers and body, which is JSON or text."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: openai.APIStatusError) -> "ServerError":
        response = error.response
        try:
            body = response.json()
        except Exception:  # not JSON, in whatever way
            body = _text_of(response)
        return cls(error.status_code, body, dict(response.headers))

    @classmethod
    def inside(cls, completion: Any) -> "ServerError | None":
        """The error in an answer of status 200, as OpenRouter and FastChat send it; None if there
        is none."""
        extra = getattr(completion, "model_extra", None) or {}
        found = extra.get("error")
        if isinstance(found, str) and found:
            found = {"message": found}
        if getattr(completion, "object", None) == "error":
            found = extra
        if not isinstance(found, dict):
            return None
        status = found.get("code")
        known = type(status) is int and 400 <= status < 600
        return cls(status if known else 500, {"error": found})

    @property
    def meaning(self) -> Meaning:
        words, codes = self.words, self._codes()
        for rule in RULES:
            if rule.fits(self.status, codes, words):
                return rule.meaning
        return "unknown"

    @property
    def words(self) -> str:
        """The server's own words, wherever it puts them; "" where there are none."""
        return _message(self.body)[:2000]

    @property
    def retry_after(self) -> float:
        """Seconds for which the server asks to wait; 0 where it does not say."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return retry_after_seconds(self.headers, text)

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.words or 'without a word'}"

    def _codes(self) -> set[str]:
        """All that may be a code anywhere in the body, in lower case."""
        found: set[str] = set()

        def look(value: Any, depth: int) -> None:
            if isinstance(value, list) and depth:
                for one in value:
                    look(one, depth - 1)
            elif isinstance(value, dict) and depth:
                for name, one in value.items():
                    if name in _CODE_FIELDS and isinstance(one, str | int):
                        code = str(one).lower()
                        # Alibaba's codes have parts: "Throttling.User".
                        found.update((code, *code.split(".")))
                    look(one, depth - 1)
            elif isinstance(value, str) and depth and (inner := _json_in(value)):
                look(inner, depth - 1)

        look(self.body, 6)
        return found


_CODE_FIELDS = ("code", "type", "status", "error_type", "reason", "limit_source", "status_code")


def _text_of(response: Any) -> str:
    try:
        return " ".join(re.sub(r"<[^>]*>", " ", response.text).split())
    except Exception:  # a body that was cut off, or is no text in its encoding
        return ""


def _json_in(text: str) -> Any:
    """The object that a text holds, where a proxy hands on the vendor's error as text; None for
    any other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _message(body: Any) -> str:
    if isinstance(body, str):
        return _message(_json_in(body)) or body
    if isinstance(body, list):  # FastAPI's validation errors, Google's list of one error
        return "; ".join(filter(None, map(_message, body)))
    if not isinstance(body, dict):
        return ""
    texts = [_message(body.get(name)) for name in _MESSAGE_FIELDS]
    # OpenRouter and other proxies hand on the vendor's error inside of their own.
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        texts += [_message(metadata.get("raw")), _message(metadata.get("reasons"))]
    if isinstance(body.get("loc"), list):
        texts.insert(0, "field " + ".".join(map(str, body["loc"])))
    return ": ".join(dict.fromkeys(filter(None, texts)))


_MESSAGE_FIELDS = (
    *("message", "msg", "detail", "error_msg", "status_msg", "description", "error", "base_resp"),
)


def describe_error(error: Exception) -> str:
    """The error in words; openai calls every failed connection "Connection error."."""
    if isinstance(error, openai.APIStatusError):
        return str(ServerError.of(error))
    said = f"{type(error).__name__}: {error}"
    cause = isinstance(error, openai.APIConnectionError) and str(error.__cause__ or "")
    return f"{said} {cause}" if cause else said


_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
"""Errors of the HTTP library before it sent the request: by name, for it is not the same library in
every version of openai. One that is not known here counts as sent."""


def was_sent(error: Exception) -> bool:
    """Whether the request of a failed attempt reached the server."""
    return type(error.__cause__).__name__ not in _UNSENT


def may_be_billed(error: Exception) -> bool:
    """Whether a failed attempt may be on the bill. An HTTP error says that it is not."""
    return not isinstance(error, openai.APIStatusError) and was_sent(error)
