"""Keeps containers warm: by shape, at most `limit` of them, each for at most `runs` runs."""

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Removable(Protocol):
    """What is pooled. unusable_reason: why it must not be used again, "" if it may."""

    unusable_reason: str

    def remove(self) -> None: ...


@dataclass
class Member:
    """A container in the pool."""

    shape: Hashable
    container: Removable
    runs: int = 0


class Pool:
    """Any number of threads may lease; a thread that finds all containers in use waits."""

    def __init__(self, start: Callable[[Hashable], Removable], limit: int, runs: int):
        self.start, self.limit, self.runs = start, limit, runs
        self.idle: list[Member] = []  # the least recently used first
        self.count = 0  # started or being started
        self.changed = threading.Condition()

    @contextmanager
    def lease(self, shape: Hashable) -> Iterator:
        """A container of that shape for the caller alone.

        One whose use ends in an exception is removed. Raises what `start` raises.
        """
        member = self._take(shape)
        try:
            yield member.container
        except BaseException:
            self._drop(member)
            raise
        member.runs += 1
        if member.runs >= self.runs or member.container.unusable_reason:
            self._drop(member)
            return
        with self.changed:
            self.idle.append(member)
            self.changed.notify()

    def _take(self, shape: Hashable) -> Member:
        while True:
            with self.changed:
                member = self._choose(shape)
            if member is None or member.shape == shape:
                break
            self._drop(member)  # of another shape, to make room
        if member:
            return member
        try:
            return Member(shape, self.start(shape))
        except BaseException:
            self._leave()
            raise

    def _choose(self, shape: Hashable) -> Member | None:
        """An idle one of the shape; None to start one; or one of another shape to be dropped."""
        while True:
            for member in reversed(self.idle):
                if member.shape == shape:
                    self.idle.remove(member)
                    return member
            if self.count < self.limit:
                self.count += 1
                return None
            if self.idle:
                return self.idle.pop(0)
            self.changed.wait()

    def _drop(self, member: Member) -> None:
        try:
            member.container.remove()
        finally:
            self._leave()

    def _leave(self) -> None:
        with self.changed:
            self.count -= 1
            self.changed.notify()

    def close(self) -> None:
        """Remove all that are idle, and those in use as soon as they are not."""
        with self.changed:
            self.runs = 0
        self.drop_idle()

    def drop_idle(self) -> None:
        """Remove all that are idle."""
        with self.changed:
            members, self.idle = self.idle, []
        if members:
            with ThreadPoolExecutor(min(len(members), 8)) as threads:
                list(threads.map(self._drop, members))
