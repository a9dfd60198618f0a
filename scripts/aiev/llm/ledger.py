"""The ledger: every answer of a model, kept by the digest of all that decides it.

One JSON file an entry, `<root>/<key[:2]>/<key>.json`, written beside its place and renamed, so that
many writers on a shared file system never show half an entry. Keys hold no address and no secret:
the same question to the same model is the same entry wherever the model is served.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from aiev.core.errors import UserError, hint_for
from aiev.core.files import dump_line, write_text
from aiev.core.hashing import canonical_json, of_text
from aiev.core.locks import lock_when_free
from aiev.core.log import log
from aiev.llm.responses import Answer

Mode = Literal["record", "replay"]

LOCKS = ".locks"
"""Directory in a ledger for the locks of questions and processes."""

TYPES = {"text": str, "finish_reason": str, "prompt_tokens": int, "completion_tokens": int}
"""What of an answer is in its entry."""

_FLOATS = ("temperature", "top_p")


def key_of(request: dict[str, Any]) -> str:
    """Key of a request: SHA-256 of its canonical JSON.

    A temperature of 1 is 1.0, and any other 1.0 is 1, so that one value has one key however the
    config spells it. Keys do not change between versions: answers are worth hours.
    """
    return canonical_digest(_with_floats(json.loads(canonical_json(request))))


def keys_of(request: dict[str, Any]) -> tuple[str, str]:
    """Its key, and the one that it had where its numbers counted as the config spells them."""
    return key_of(request), canonical_digest(_with_floats(request))


def _with_floats(request: dict[str, Any]) -> dict[str, Any]:
    floats = {name: float(request[name]) for name in _FLOATS if type(request.get(name)) is int}
    return {**request, **floats}


def canonical_digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in which 1.0 is 1.0."""
    # core.hashing.of_json takes 1.0 for 1, and would find no entry at a temperature of 1.0.
    form = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
    return of_text(json.dumps(value, allow_nan=False, **form))


class Ledger:
    """Answers on disk. `replay` mode never lets a question through to a model."""

    def __init__(self, root: Path, mode: Mode = "record"):
        self.root, self.mode = Path(root), mode

    def path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def key(self, request: dict[str, Any]) -> str:
        """The key under which a request is on record, or will be."""
        key, spelled = keys_of(request)
        older = spelled != key and not self.path(key).exists() and self.path(spelled).exists()
        return spelled if older else key

    def find(self, request: dict[str, Any]) -> Answer | None:
        """The answer on record for `request`, or None when it has to be asked.

        An entry that does not match its own digest is damaged: it is asked again. Raises UserError
        in replay mode, where nothing may be asked, for a damaged or missing entry, and in either
        mode for one that cannot be read: it may be intact, and was paid for.
        """
        key = self.key(request)
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
                hint="get the complete ledger of the run, or set execution.ledger.mode to record",
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
        key = key_of(request)
        body = {name: getattr(answer, name) for name in TYPES}
        entry = {"request": request, "answer": body, "digest": canonical_digest([request, body])}
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
        return str(self.path(self.key(key)))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Keep other processes from asking the same for the length of the block.

        The kernel releases the lock of a process that is killed, and what that one left half
        written is removed. Raises UserError where there is no place to write, or no locks.
        """
        path = self.root / LOCKS / key
        async with AsyncExitStack() as stack:
            try:
                left_behind = await stack.enter_async_context(lock_when_free(path))
                if left_behind:
                    for part in self.path(key).parent.glob(f".{key}.json.*.part"):
                        part.unlink(missing_ok=True)
            except OSError as error:
                message, hint = f"cannot write: {error.strerror}", hint_for(error)
                raise UserError(message, where=str(path), hint=hint) from error
            yield


def read_entry(path: Path) -> bytes | None:
    """Bytes of an entry; None where there is none. Raises UserError for one that cannot be read:
    it may be intact, and is not to be paid for again."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"cannot read a ledger entry: {error.strerror}",
            where=str(path),
            hint="fix its permissions or the disk, or name a ledger that you may read",
        ) from error


def check_entry(entry: Any) -> tuple[dict[str, Any], Answer]:
    """Request and answer of an entry. Raises ValueError unless both match its digest."""
    try:
        request, answer = entry["request"], Answer(**entry["answer"])
        if entry["digest"] != canonical_digest([request, entry["answer"]]):
            raise ValueError("it does not match its digest")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an entry of a ledger: {error}") from error
    known = all(type(getattr(answer, name)) is kind for name, kind in TYPES.items())
    if not isinstance(request, dict) or not known or answer.key or answer.asked_again:
        raise ValueError("not an entry of a ledger: a field has the wrong type")
    return request, answer
