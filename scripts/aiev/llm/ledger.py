"""The ledger: every answer of a model, kept by the digest of all that decides it.

One JSON file an entry, `<root>/<key[:2]>/<key>.json`, written beside its place and renamed, so that
many writers on a shared file system never show half an entry. Keys hold no address and no secret:
the same question to the same model is the same entry wherever the model is served.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aiev.core.errors import UserError
from aiev.core.files import dump_line, write_text
from aiev.core.hashing import of_json
from aiev.core.locks import try_lock
from aiev.core.log import log

Mode = Literal["record", "replay"]

TURN = 0.1
"""Seconds between two looks whether another process has done with a question."""


@dataclass(frozen=True)
class Answer:
    """A model's answer. Token counts are the server's own; `key` is the entry's key."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    key: str = ""


TYPES = {"text": str, "finish_reason": str, "prompt_tokens": int, "completion_tokens": int}
"""What of an answer is in its entry."""


class Ledger:
    """Answers on disk. `replay` mode never lets a question through to a model."""

    def __init__(self, root: Path, mode: Mode = "record"):
        self.root, self.mode = Path(root), mode

    def path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def find(self, request: dict[str, Any]) -> Answer | None:
        """The answer on record for `request`, or None when it has to be asked.

        An entry that does not match its own digest is damaged: it is asked again, and in replay
        mode, where nothing may be asked, UserError names it. So does a missing one there, and, in
        either mode, one that cannot be read: it may well be sound, and was paid for.
        """
        key = of_json(request)
        path = self.path(key)
        answer = self._read(path, request, key)
        if answer:
            return answer
        problem = "no answer on record for this question"
        if path.exists():
            problem = "this ledger entry is damaged"
            log.warning("ledger entry %s is damaged: asked again", path)
        if self.mode == "replay":
            raise UserError(
                f"replay: {problem}",
                where=str(path),
                hint="get the complete ledger of the run, or set ledger.mode to record",
            )
        return None

    @staticmethod
    def _read(path: Path, request: dict[str, Any], key: str) -> Answer | None:
        data = read_entry(path)
        try:
            found, answer = check_entry(json.loads(data or b""))
        except (ValueError, RecursionError):
            return None
        return replace(answer, key=key) if found == request else None

    def add(self, request: dict[str, Any], answer: Answer) -> Answer:
        """Put an answer on record, before anything is done with it."""
        key = of_json(request)
        body = {name: getattr(answer, name) for name in TYPES}
        entry = {"request": request, "answer": body, "digest": of_json([request, body])}
        write_text(self.path(key), dump_line(entry) + "\n")
        return Answer(**body, key=key)

    def get(self, key: dict[str, Any]) -> str | None:
        """The text kept for `key` by `put`; raises as `find`."""
        answer = self.find(key)
        return answer and answer.text

    def put(self, key: dict[str, Any], text: str) -> None:
        """Keep a text that no model wrote, such as a resolution of packages: an entry without
        tokens."""
        self.add(key, Answer(text, "resolved", 0, 0))

    def place(self, key: dict[str, Any]) -> str:
        """Where the entry of `key` lies, for messages."""
        return str(self.path(of_json(key)))

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Let no other process ask the same for the length of the block: it is paid for once.

        The kernel releases the lock of a process that is killed, and what that left half-written is
        removed. Raises UserError where there is no place to write, or no locks.
        """
        path = self.root / ".asking" / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            killed = path.exists()  # or it asks now, and then leaves nothing
            while (descriptor := try_lock(path)) is None:
                await asyncio.sleep(TURN)
        except OSError as error:
            raise UserError(f"cannot write: {error.strerror}", where=str(path)) from error
        try:
            if killed:
                for beside in self.path(key).parent.glob(f".{key}.json.*.part"):
                    beside.unlink(missing_ok=True)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def read_entry(path: Path) -> bytes | None:
    """Bytes of an entry; None where there is none. Raises UserError for one that cannot be read:
    it may be sound, and is not to be paid for again."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"cannot read a ledger entry: {error.strerror}",
            where=str(path),
            hint="mend its permissions or the disk, or name a ledger that is yours to read",
        ) from error


def is_asked(root: Path, key: str) -> bool:
    """Whether a process that lives is inside of `alone` with this key."""
    path = root / ".asking" / key
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def check_entry(entry: Any) -> tuple[dict[str, Any], Answer]:
    """Request and answer of an entry. Raises ValueError unless it is whole and its digest holds."""
    try:
        request, answer = entry["request"], Answer(**entry["answer"])
        if entry["digest"] != of_json([request, entry["answer"]]):
            raise ValueError("its digest is another")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an entry of a ledger: {error}") from error
    known = all(type(getattr(answer, name)) is kind for name, kind in TYPES.items())
    if not isinstance(request, dict) or not known or answer.key:
        raise ValueError("not an entry of a ledger: a field of another type")
    return request, answer
