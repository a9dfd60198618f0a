"""What can go wrong with a request to a model, and what it means: try again, wait, or give up."""

import openai

LONGEST_LIMIT = 600.0
"""Seconds for which a rate limit is waited out, before it counts as a failed attempt."""

TRANSIENT = (
    openai.APIConnectionError,
    openai.InternalServerError,
    openai.RateLimitError,
)

REFUSALS = ("content_filter", "content_policy_violation", "invalid_prompt")
"""Codes by which vendors say that they will not answer a prompt."""

UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
"""Errors of the HTTP library before it sent the request: by name, for it is not the same library in
every version of openai. One that is not known here counts as sent."""


class NoAnswer(Exception):
    """The model has no answer to this question, whatever is done; other questions go on.

    reason: in a word; it stands for a reason to finish in the question's entry in the ledger.
    """

    reason: str


class ContextFull(NoAnswer):
    """The conversation no longer fits the model's context."""

    reason = "context-full"


class Refused(NoAnswer):
    """The vendor's filter will not let the prompt through."""

    reason = "refused"


NO_ANSWER = {kind.reason: kind for kind in (ContextFull, Refused)}
"""By what stands for them in the ledger."""


def no_answer(error: openai.BadRequestError) -> type[NoAnswer] | None:
    """The kind of question that the refused one is; None when the request itself is at fault."""
    if error.code in REFUSALS:
        return Refused
    return ContextFull if "context" in str(error) else None


def told(error: Exception) -> str:
    """The error in words; openai calls every failed connection "Connection error."."""
    said = f"{type(error).__name__}: {error}"
    known = isinstance(error, openai.APIConnectionError) and str(error.__cause__ or "")
    return f"{said} {known}" if known else said


def asked_to_wait(error: Exception) -> float:
    """Seconds that a server over its rate limit asks for (Retry-After); 0 where it asks for none,
    and where waiting does not help, as the account is empty."""
    if not isinstance(error, openai.RateLimitError) or error.code == "insufficient_quota":
        return 0.0
    try:
        return min(max(float(error.response.headers.get("retry-after", "")), 0.0), LONGEST_LIMIT)
    except ValueError:
        return 0.0


def was_sent(error: Exception) -> bool:
    """Whether a failed attempt may be on the bill. An HTTP error says that it is not."""
    unsent = type(error.__cause__).__name__ in UNSENT
    return not (isinstance(error, openai.APIStatusError) or unsent)
