"""The ledger: every answer of a model, kept by the digest of all that decides it.

One JSON file an entry, `<root>/<key[:2]>/<key>.json`, written beside its place and renamed, so that
many writers on a shared file system never show half an entry. Keys hold no address and no secret:
the same question to the same model is the same entry wherever the model is served.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aiev.digests import of_json
from aiev.errors import UserError
from aiev.progress import log
from aiev.records import dump_line, read_json, write_text

Mode = Literal["record", "replay"]


@dataclass(frozen=True)
class Answer:
    """A model's answer. Token counts are the server's own; `key` is the entry's key."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    key: str = ""


class Ledger:
    """Answers on disk. `replay` mode never lets a question through to a model."""

    def __init__(self, root: Path, mode: Mode = "record"):
        self.root, self.mode = Path(root), mode

    def path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def find(self, request: dict[str, Any]) -> Answer | None:
        """The answer on record for `request`, or None when it has to be asked.

        An entry that does not match its own digest is damaged: it is asked again, and in replay
        mode, where nothing may be asked, UserError names it. So does a missing one there.
        """
        key = of_json(request)
        path = self.path(key)
        problem = "no answer on record for this question"
        if path.exists():
            answer = self._read(path, request, key)
            if answer:
                return answer
            problem = "this ledger entry is damaged"
            log.warning("ledger entry %s is damaged: asked again", path)
        if self.mode == "replay":
            raise UserError(
                f"replay: {problem}",
                where=str(path),
                todo="get the complete ledger of the run, or set ledger.mode to record",
            )
        return None

    @staticmethod
    def _read(path: Path, request: dict[str, Any], key: str) -> Answer | None:
        try:
            entry = read_json(path)
            answer = entry["answer"]
            sound = entry["digest"] == of_json([request, answer]) and entry["request"] == request
            return Answer(**answer, key=key) if sound else None
        except (UserError, KeyError, TypeError, ValueError):
            return None

    def add(self, request: dict[str, Any], answer: Answer) -> Answer:
        """Put an answer on record, before anything is done with it."""
        key = of_json(request)
        body = asdict(answer)
        del body["key"]
        entry = {"request": request, "answer": body, "digest": of_json([request, body])}
        write_text(self.path(key), dump_line(entry) + "\n")
        return Answer(**body, key=key)
