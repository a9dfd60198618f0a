"""How long a busy server asks to be left alone: every form of Retry-After."""

import datetime
import email.utils
import re
import time
from collections.abc import Mapping

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

_SPOKEN = re.compile(
    r"(?:again|retry|wait)\w*\W+(?:(?:in|after|for|at least)\W+)*(\d+(?:\.\d+)?)\s*"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b",
    re.IGNORECASE,
)
"""Azure, OpenAI and Groq write the time into the message: "Please retry after 5 seconds"."""

_COMPOUND = re.compile(r"again in ((?:\d+(?:\.\d+)?[hm])+\d+(?:\.\d+)?s)\b", re.IGNORECASE)
"""Groq: "Please try again in 1m30.5s"."""

_RETRY_DELAY = re.compile(r'"retry_?delay"\s*:\s*"?(\d+(?:\.\d+)?)(ms|s|m)?', re.IGNORECASE)
"""Google puts it into the body's details."""

_RESETS = (
    *("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-reset"),
    *("ratelimit-reset", "anthropic-ratelimit-requests-reset", "anthropic-ratelimit-tokens-reset"),
)


def retry_after_seconds(headers: Mapping[str, str], body: str, now: float | None = None) -> float:
    """Seconds for which a server asks to wait; 0 where it does not say.

    headers: of the response, whose names are in any case. body: its text. now: the time, in seconds
    since the epoch.
    """
    now = time.time() if now is None else now
    named = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(named.get("retry-after-ms", ""))
    if milliseconds:
        return milliseconds / 1000
    asked = _seconds(named.get("retry-after", ""), now)
    if asked:
        return asked
    compound = _COMPOUND.search(body)
    if compound:
        return _seconds(compound[1].lower(), now)
    found = _RETRY_DELAY.search(body) or _SPOKEN.search(body)
    if found:
        return float(found[1]) * _unit(found[2])
    # Only the limits that are used up keep us waiting; which these are the headers do not say.
    return max((_seconds(named.get(name, ""), now) for name in _RESETS), default=0.0)


def _seconds(value: str, now: float) -> float:
    """Of "20", "1.5", "6m0s", "20ms", an HTTP date, an ISO date, or a time since the epoch."""
    value = value.strip()
    number = _number(value)
    if number:
        if number > 1e11:  # milliseconds since the epoch
            number /= 1000
        return max(number - now, 0.0) if number > 1e9 else number
    if value and not _DURATION.sub("", value):
        return sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(value))
    return max(_date(value) - now, 0.0)


def _number(value: str) -> float:
    """A finite, positive number; 0 for anything else."""
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if 0 < number < float("inf") else 0.0


def _date(value: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return datetime.datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _unit(word: str | None) -> float:
    word = (word or "s").lower()
    return _UNITS["ms" if word.startswith(("ms", "milli")) else word[0]]
