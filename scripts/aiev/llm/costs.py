"""What answers cost: a line for each paid call, beside the ledger.

`<ledger>/spending.jsonl` holds one event a line, appended under a lock of the kernel, so that all
jobs and threads of all runs share one sum:

  {"paid": key, "stage": s, "model": m, "tokens": [prompt, completion]}  a call that was billed
  {"reserved": key, "process": p, "model": m, "tokens": [...]}           one that may take so many
  {"released": key, "process": p}                                        it was not billed
  {"expired": p}                                                         the process has died

Reservations are made only under a budget (see `budget`); a paid line that names its process ends
one. Tokens are noted; dollars follow from the config's prices. What was recalled, or came in a
pack, was not paid for here and has no line. Lines are not flushed to disk one by one: a power cut
can lose those of the last seconds, of answers that are kept all the same.
"""

import errno
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from aiev.core.errors import UserError
from aiev.core.files import dump_line
from aiev.core.locks import locked_for_append

FILE = "spending.jsonl"

Tokens = tuple[int, int]
"""Of the prompt, of the completion."""


@dataclass
class Tally:
    """The sums of all lines so far.

    paid:     (stage, model) -> calls, prompt tokens, completion tokens.
    open:     process -> key -> model and tokens, of reservations.
    reserved: model -> prompt and completion tokens of all open reservations.
    """

    paid: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(_zeros))
    open: dict[str, dict[str, tuple[str, Tokens]]] = field(default_factory=dict)
    reserved: dict[str, list[int]] = field(default_factory=lambda: defaultdict(_zeros))

    def add_line(self, line: bytes) -> None:
        """Count one line. Half a line, of a crash or a full disk, counts nothing; nor does one of
        an earlier version of this file that is of another kind."""
        try:
            event = json.loads(line)
            if "expired" in event:
                for key in list(self.open.get(event["expired"], ())):
                    self._close(event["expired"], key)
            elif "released" in event:
                self._close(event["process"], event["released"])
            elif "reserved" in event or "paid" in event:
                self._count(event)
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def _count(self, event: Mapping[str, Any]) -> None:
        prompt, completion = map(int, event["tokens"])
        model, process = str(event["model"]), event.get("process")
        if "reserved" in event:
            key = event["reserved"]
            self._close(process, key)
            self.open.setdefault(process, {})[key] = model, (prompt, completion)
            _add(self.reserved[model], (0, prompt, completion))
            return
        stage = str(event["stage"])
        if process is not None:
            self._close(process, event["paid"])
        _add(self.paid[stage, model], (1, prompt, completion))

    def _close(self, process: str, key: str) -> None:
        calls = self.open.get(process, {})
        if key in calls:
            model, (prompt, completion) = calls.pop(key)
            _add(self.reserved[model], (0, -prompt, -completion))
        if process in self.open and not calls:
            del self.open[process]


class Costs:
    """The account of a ledger.

    stage:  of the calls noted from here, by which they are summed up.
    prices: model -> {"prompt_usd_per_million", "completion_usd_per_million"}; a model that is not
            there costs nothing.
    """

    def __init__(
        self, ledger: Path, stage: str = "", prices: Mapping[str, Mapping[str, float]] | None = None
    ):
        self.path, self.stage, self.prices = Path(ledger) / FILE, stage, prices or {}
        self._tally, self._read = Tally(), 0
        self._thread = threading.Lock()

    def tally(self) -> Tally:
        """All that is noted so far; nothing is written."""
        with self._thread:
            if self.path.exists():
                with open(self.path, "rb") as file:
                    self._catch_up(file)
            return self._tally

    def usd(self, model: str, tokens: Tokens) -> float:
        """Dollars for so many tokens."""
        price = self.prices.get(model)
        if not price:
            return 0.0
        prompt, completion = tokens
        dollars = prompt * price["prompt_usd_per_million"]
        return (dollars + completion * price["completion_usd_per_million"]) / 1e6

    def commit(self, key: str, model: str, tokens: Tokens) -> None:
        """Note a call that was, or may have been, billed."""
        with self._locked() as file:
            self._append(file, self._paid(key, model, tokens))

    def _paid(self, key: str, model: str, tokens: Tokens) -> dict[str, Any]:
        return {"paid": key, "stage": self.stage, "model": model, "tokens": list(tokens)}

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, locked, with all of its lines counted. Raises UserError where it cannot be."""
        try:
            with self._thread, locked_for_append(self.path) as file:
                self._catch_up(file)
                yield file
        except OSError as error:
            raise UserError(
                f"cannot note what a call costs: {error.strerror}",
                where=str(self.path),
                hint="free some space or fix the permissions; the file system must have locks",
            ) from error

    def _catch_up(self, file: IO[bytes]) -> None:
        """Count the whole lines that were added since."""
        if os.fstat(file.fileno()).st_size < self._read:
            self._tally, self._read = Tally(), 0
        file.seek(self._read)
        lines, _, _ = file.read().rpartition(b"\n")
        if not lines:
            return
        for line in lines.split(b"\n"):
            self._tally.add_line(line)
        self._read += len(lines) + 1

    def _append(self, file: IO[bytes], event: Mapping[str, Any]) -> None:
        line = (dump_line(event) + "\n").encode("utf-8")
        # After the half line of a crash, a line of its own.
        cut = os.fstat(file.fileno()).st_size > self._read
        line = b"\n" + line if cut else line
        if os.write(file.fileno(), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._catch_up(file)


def cost_table(costs: Costs) -> list[list[str]]:
    """What was paid, as rows of text: by stage and model, then by model, then in all."""
    found = [["stage", "model", "calls", "prompt", "completion", "usd"]]
    paid = costs.tally().paid
    models: dict[str, list[int]] = defaultdict(_zeros)
    usd: dict[str, float] = defaultdict(float)
    for (stage, model), sums in sorted(paid.items()):
        cost = costs.usd(model, (sums[1], sums[2]))
        found.append(_row(stage, model, sums, cost))
        _add(models[model], sums)
        usd[model] += cost
    found += [_row("all", model, models[model], usd[model]) for model in sorted(models)]
    if len(models) != 1:
        sums = [sum(column) for column in zip(*models.values(), strict=True)] or _zeros()
        found.append(_row("all", "all", sums, sum(usd.values())))
    return found


def cost_summary(costs: Costs) -> str:
    """All that was paid through the ledger in one line; "" for nothing."""
    calls, prompt, completion, usd = cost_table(costs)[-1][2:]
    if calls == "0":
        return ""
    return f"answers: {calls} asked, {prompt} + {completion} tokens, ${usd}, over all runs"


def _row(stage: str, model: str, sums: list[int], usd: float) -> list[str]:
    return [stage, model, *(f"{number:,}" for number in sums), f"{usd:,.4f}"]


def _add(sums: list[int], more: Any) -> None:
    sums[:] = [a + b for a, b in zip(sums, more, strict=True)]


def _zeros() -> list[int]:
    return [0, 0, 0]
