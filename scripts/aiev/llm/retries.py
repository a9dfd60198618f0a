"""What is tried again after a failed attempt, when, and how often."""

import math
from dataclasses import dataclass

from aiev.llm.endpoints.base import Endpoint

ATTEMPTS = 5
"""Failed attempts before a question is given up."""

TIMEOUTS = 2
"""Attempts that may take their full time: a server that hangs is not waited for five times."""

FIRST_PAUSE = 0.5
"""Seconds before the first retry; doubled each time."""

MAX_PAUSE = 60.0
"""Seconds of the longest pause where a busy server does not say how long."""


@dataclass(frozen=True)
class Tries:
    """After how many failed attempts, and how many that took their full time, a question is given
    up; and for how many seconds a busy server is waited for, if that is less than the sender's."""

    failed: int = ATTEMPTS
    timed_out: int = TIMEOUTS
    max_wait: float = math.inf


USUAL_TRIES = Tries()


class Busy(Exception):
    """The server is overloaded or limits the rate. retry_after: seconds it asks for, or 0."""

    def __init__(self, words: str, retry_after: float):
        super().__init__(words)
        self.retry_after = retry_after


class Failed(Exception):
    """An attempt failed in a way that says nothing about the next one.

    timed_out: it took its full time. unreachable: no connection was made. busy: the server was said
    to be busy for as long as one is waited for. retry_after: seconds the server asks for, or 0.
    """

    def __init__(
        self,
        words: str,
        timed_out: bool = False,
        unreachable: bool = False,
        busy: bool = False,
        retry_after: float = 0.0,
    ):
        super().__init__(words)
        self.timed_out, self.unreachable, self.busy = timed_out, unreachable, busy
        self.retry_after = retry_after


@dataclass
class History:
    """The attempts at one question so far.

    max_wait: seconds for which a busy server is waited for. failed, timed_out: how many attempts
    failed, and how many of these took their full time. busy: how often the server was busy.
    waited: seconds for which it was waited for.
    """

    max_wait: float
    failed: int = 0
    timed_out: int = 0
    busy: int = 0
    waited: float = 0.0
    waited_enough: bool = False

    def pause(self, error: Busy | Failed) -> float:
        """Seconds until the next attempt; those for a busy server count as waited."""
        if isinstance(error, Failed):
            asked = min(error.retry_after, MAX_PAUSE, self.max_wait)
            return max(asked, FIRST_PAUSE * 2 ** (self.failed - 1))
        left = self.max_wait - self.waited
        self.waited_enough = left <= 0
        pause = error.retry_after or min(FIRST_PAUSE * 2 ** (self.busy - 1), MAX_PAUSE)
        pause = max(min(pause, left), 0.0)
        self.waited += pause
        return pause

    def is_over(self, error: Busy | Failed, tries: Tries, endpoint: Endpoint) -> bool:
        """Whether the question is given up after this error: at once where a server of our own has
        ended."""
        if isinstance(error, Busy):
            return self.waited_enough
        tried = self.failed >= tries.failed or self.timed_out >= tries.timed_out
        return tried or bool(endpoint.state())
