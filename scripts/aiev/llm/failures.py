"""Failed requests: what the server said, what it means, and whether it may be billed."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import openai

from aiev.core.errors import EndpointError
from aiev.llm.error_table import RULES, Meaning, Rule
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


class Blocked(EndpointError):
    """A 403 that does not say why: the key is wrong, or a firewall before the server stops this
    prompt, as some do with code."""


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
        """The error in an answer of status 200; None if there is none.

        OpenRouter and FastChat send it in the place of the choices, or within one; MiniMax and
        gateways send an object of their own form.
        """
        extra = getattr(completion, "model_extra", None) or {}
        choices = getattr(completion, "choices", None)
        if isinstance(choices, list) and choices:
            own = getattr(choices[0], "model_extra", None) or {}
            found = [each["error"] for each in (extra, own) if _is_error(each.get("error"))]
            body = {"error": found[0]} if found else None
        else:
            body = extra if words_in(extra) else None
        return cls(_status_in(body) or 500, body) if body else None

    @property
    def meaning(self) -> Meaning:
        return self._rule.meaning if self._rule else "unknown"

    @property
    def explained(self) -> bool:
        """Whether a code or words say what it means, and not the status alone."""
        return bool(self._rule and (self._rule.codes or self._rule.words))

    @cached_property
    def _rule(self) -> Rule | None:
        words, codes = self.words, self._codes()
        return next((rule for rule in RULES if rule.fits(self.status, codes, words)), None)

    @property
    def words(self) -> str:
        """The server's own words, wherever it puts them; "" where there are none."""
        return words_in(self.body)[:2000]

    @property
    def retry_after(self) -> float:
        """Seconds for which the server asks to wait; 0 where it does not say."""
        try:
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        except RecursionError:
            text = ""
        return retry_after_seconds(self.headers, text)

    def __str__(self) -> str:
        moved = next((to for name, to in self.headers.items() if name.lower() == "location"), "")
        to = f", which redirects to {moved}" if moved and self.status < 400 else ""
        return f"HTTP {self.status}{to}: {self.words or 'without a word'}"

    def _codes(self) -> set[str]:
        """All that may be a code anywhere in the body, in lower case."""
        found: set[str] = set()
        for name, value in _fields(self.body):
            if name in _CODE_FIELDS and isinstance(value, str | int):
                code = str(value).lower()
                # Alibaba's codes have parts: "Throttling.User".
                found.update((code, *code.split(".")))
        if re.fullmatch(r"[\w.-]+", self.words):  # a code in the place of the message
            found.add(self.words.lower())
        return found


MAX_DEPTH = 8
"""Of what is read of an error."""

_CODE_FIELDS = frozenset(
    (
        *("code", "type", "status", "errortype", "errorcode", "reason", "limitsource"),
        *("statuscode", "httpcode", "blockreason", "finishreason", "nativefinishreason"),
    )
)
_MESSAGE_FIELDS = (
    *("message", "msg", "detail", "errormsg", "errormessage", "errmsg", "statusmsg"),
    *("description", "faultstring", "title", "error", "errors", "fault", "baseresp", "details"),
)
"""Names without `_` and `-`, in lower case; of messages in the order in which they are shown."""


def _plain(name: Any) -> str:
    return re.sub("[_-]", "", str(name)).lower()


def _fields(value: Any, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """All names and values in a body, those within lists, objects and JSON as text, too."""
    if not depth:
        return
    if isinstance(value, str):
        value = _json_in(value)
    if isinstance(value, list):
        for one in value:
            yield from _fields(one, depth - 1)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield _plain(name), one
            yield from _fields(one, depth - 1)


def _status_in(body: Any) -> int:
    """The HTTP status that an error names; 0 for none."""
    for name, value in _fields(body):
        if name in ("code", "status", "statuscode", "httpcode") and str(value).isdecimal():
            status = int(str(value)[:9])
            if 400 <= status < 600:
                return status
    return 0


def _is_error(value: Any) -> bool:
    """Whether the field `error` beside an answer says more than that there is none."""
    fine = isinstance(value, dict) and str(value.get("code")).lower() in ("0", "200", "ok")
    return not fine and bool(words_in(value) or _status_in(value))


def _text_of(response: Any) -> str:
    """The text of a page, as a person reads it."""
    try:
        text = re.sub(r"(?is)<(style|script)\b.*?</\1\s*>|<!--.*?-->", " ", response.text)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
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


def words_in(body: Any) -> str:
    """What an error says: the texts in fields that are named as messages are, and all texts that
    there are where no field is."""
    return _message(body) or "; ".join(dict.fromkeys(_texts(body)))


def _texts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list | dict) and depth:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one, depth - 1)


def _message(body: Any, depth: int = MAX_DEPTH) -> str:
    if not depth:
        return ""
    if isinstance(body, str):
        return _message(_json_in(body), depth - 1) or body
    if isinstance(body, list):  # FastAPI's validation errors, Google's list of one error
        return "; ".join(filter(None, (_message(one, depth - 1) for one in body)))
    if not isinstance(body, dict):
        return ""
    named = {_plain(name): value for name, value in body.items()}
    texts = [_message(named.get(name), depth - 1) for name in _MESSAGE_FIELDS]
    # OpenRouter and other proxies hand on the vendor's error inside of their own.
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        texts += [_message(metadata.get(name), depth - 1) for name in ("raw", "reasons")]
    if isinstance(body.get("loc"), list):
        texts.insert(0, "field " + ".".join(map(str, body["loc"])))
    return ": ".join(dict.fromkeys(filter(None, texts)))


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
