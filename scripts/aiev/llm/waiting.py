"""How long a busy server asks to be left alone: every form of Retry-After."""

import datetime
import email.utils
import re
import time
from collections.abc import Mapping

_UNIT_SECONDS = {"ms": 0.001, "mil": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""By how a unit begins; the first that fits counts."""

_NUMBER = r"\d+(?:\.\d+)?"
_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_DURATION = re.compile(rf"({_NUMBER})\s*({_UNIT})", re.IGNORECASE)
_DURATIONS = rf"(?:{_NUMBER}\s*{_UNIT}[\s,]*)+"

_BARE = rf"{_NUMBER}(?=\s*(?:[\"'.,;)}}]|$))"
_ISO_DATE = r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?"
_HTTP_DATE = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT"

_SPOKEN = re.compile(
    r"(?:again|retry|wait|available|resets?|requests?)\W+"
    r"(?:(?:in|after|for|at|at least|about)\W+)+"
    rf"({_DURATIONS}|{_BARE}|{_ISO_DATE}|{_HTTP_DATE}|(?:an?|one) (?:second|minute|hour|day)\b)"
    rf"|(?:wait|cool-?down|back-?off|back off)\W+(?:for\W+)?({_DURATIONS})"
    rf"|({_NUMBER})\s*秒钟?之?后",
    re.IGNORECASE,
)
"""Azure, OpenAI, Groq and others write the time into the message: "Please retry after 5 seconds",
"try again in 1m30.5s", "Retry after: 30"."""

_FIELD = re.compile(
    r'"(?:x-)?(?:retry[_-]?(?:delay|after|in|at)|wait(?:[_-]?time)?|resets?[_-]?(?:at|in|after)'
    r"|estimated[_-]?time|cool[_-]?down|available[_-]?(?:at|in))"
    r'[_-]?(?:in[_-]?)?(ms|milliseconds|seconds|secs|s)?"'
    r'\s*:\s*(?:"([^"]*)"|(?:\{\s*"seconds"\s*:\s*"?)?(\d[\d.]*))',
    re.IGNORECASE,
)
"""A field of the body: Google's `retryDelay`, `retry_after`, `retry_after_ms`, `resets_at`, and
`estimated_time` of a model that is loading."""

_HEADER = re.compile(r"(?:x-)?(?:ms-)?retry-(?:after|in)(?:-(ms|milliseconds|seconds))?")

_RESET_IN_BODY = re.compile(r'"x-ratelimit-reset"\s*:\s*"?([^",}]+)', re.IGNORECASE)
"""OpenRouter hands on the headers of the provider."""

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)")

_STRUCTURED = re.compile(r"\b(?:reset|t)=(\d+)")
"""The header RateLimit of the drafts of IETF's HTTPAPI group: `limit=9, remaining=0, reset=30`, and
`"default";r=0;t=30`."""

_USED_UP = re.compile(r"\br=0\b[^,]*?\bt=(\d+)")


def retry_after_seconds(headers: Mapping[str, str], body: str, now: float | None = None) -> float:
    """Seconds for which a server asks to wait; 0 where it does not say.

    headers: of the response, whose names are in any case. body: its text. now: the time, in seconds
    since the epoch.
    """
    now = time.time() if now is None else now
    named = {name.lower(): value for name, value in headers.items()}
    found = [(match, value) for name, value in named.items() if (match := _HEADER.fullmatch(name))]
    # One in milliseconds is the more exact one.
    for match, value in sorted(found, key=lambda each: _unit_seconds(each[0][1] or "s")):
        if asked := _seconds(value, now, match[1] or "s"):
            return asked
    return _in_body(body.replace('\\"', '"'), now) or _until_reset(named, now)


def _in_body(body: str, now: float) -> float:
    for found in _FIELD.finditer(body):
        if asked := _seconds(found[2] or found[3] or "", now, found[1] or "s"):
            return asked
    if found := _SPOKEN.search(body):
        said = next(filter(None, found.groups()))
        return _seconds(re.sub(r"\A(an?|one)\b", "1", said, flags=re.IGNORECASE), now)
    found = _RESET_IN_BODY.search(body)
    return _seconds(found[1], now) if found else 0.0


def _until_reset(headers: Mapping[str, str], now: float) -> float:
    """Until the last of the limits that are used up is whole again. One with something left, such
    as that of a day, keeps nobody waiting."""
    waits = [0.0]
    for name, value in headers.items():
        plain = name.replace("rate-limit", "ratelimit")
        left = _number(headers.get(name.replace("reset", "remaining"), ""))
        if "ratelimit" in plain and "reset" in plain and not left:
            waits.append(_seconds(value, now))
    limits = headers.get("ratelimit", "")
    waits += map(float, _USED_UP.findall(limits) or _STRUCTURED.findall(limits)[:1])
    return max(waits)


def _seconds(value: str, now: float, unit: str = "s") -> float:
    """Of "20", "1.5", "6m0s", "20ms", "in 30 seconds", "PT30S", "P1DT2H", "0:00:30", an HTTP date,
    an ISO date, or a time since the epoch; of the first of several. unit: of a bare number."""
    value = re.sub(r"\A(in|after|about)\s+", "", value.strip().strip("\"'"), flags=re.IGNORECASE)
    # A proxy may join two headers by a comma, which is part of a date too.
    for part in (value, re.split("[;,]", value)[0].strip()):
        if number := _number(part):
            if number > 1e11:  # milliseconds since the epoch
                number /= 1000
            return max(number - now, 0.0) if number > 1e9 else number * _unit_seconds(unit)
        if clock := _CLOCK.fullmatch(part):
            return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
        duration = re.sub(r"\AP(?=T?\d)|T(?=\d)", "", part, flags=re.IGNORECASE)
        if duration and not _DURATION.sub("", duration).strip(" ,"):
            return sum(float(n) * _unit_seconds(unit) for n, unit in _DURATION.findall(duration))
    return max(_date(value) - now, 0.0)


def _number(value: str) -> float:
    """A finite, positive number; 0 for anything else."""
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if 0 < number < float("inf") else 0.0


def _date(value: str) -> float:
    for parse in (email.utils.parsedate_to_datetime, datetime.datetime.fromisoformat):
        try:
            date = parse(value)
            # The oldest of HTTP's forms of a date has no zone, and is in UTC like the others.
            return (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return 0.0


def _unit_seconds(word: str) -> float:
    word = word.lower()
    return next(seconds for start, seconds in _UNIT_SECONDS.items() if word.startswith(start))
