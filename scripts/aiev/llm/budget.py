"""What answers cost: every call is noted beside the ledger; a budget stops the next in time.

`<ledger>/spending.jsonl`, a line an event, appended under a lock of the kernel, so that all jobs
and threads share one sum:
  {"asked": key, "stage": s, "model": m, "tokens": [prompt, completion]}   at most so many
  {"paid": key, "stage": s, "model": m, "tokens": [prompt, completion]}    its end: so many
  {"dropped": key}                                                         its end: no answer
An asked line without an end is of a call under way, or of a process that was killed. That one may
have been billed: it counts in full until the same question is put again, as a resumed run does, and
then gets its end: of the new call, or, if the answer came on record before the kill, as recorded.
An attempt that was sent and then lost (no answer in time, a connection that broke off, an answer
that is none) may have been billed too: it is paid in full, and the next attempt asks anew. So one
question can have many paid lines. An HTTP error, or a connection that never was, costs nothing.

Only tokens are noted: dollars follow from the config's prices. What was recalled, or came in a
pack, was not paid for here and has no line. Lines are not flushed to disk one by one: a power cut
can lose those of the last seconds, of answers that are kept none the less.
"""

import errno
import fcntl
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiev.core.errors import BudgetError, UserError
from aiev.core.files import dump_line
from aiev.llm.ledger import is_asked

FILE = "spending.jsonl"
MESSAGE_TOKENS = 32
"""That a chat template may put around a message, and around the whole."""

Tokens = tuple[int, int]
"""Of the prompt, of the completion."""


@dataclass
class Tally:
    """The lines so far. paid: (stage, model) -> calls, prompt tokens, completion tokens.
    open: question -> stage, model and most tokens, of calls without an end."""

    paid: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(_zeros))
    open: dict[str, tuple[str, str, Tokens]] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        """Count one line; half a line, of a crash or a full disk, counts nothing."""
        try:
            event = json.loads(line)
            if "dropped" in event:
                self.open.pop(event["dropped"], None)
                return
            prompt, completion = map(int, event["tokens"])
            stage, model = str(event["stage"]), str(event["model"])
            if "asked" in event:
                self.open[event["asked"]] = (stage, model, (prompt, completion))
                return
            self.open.pop(event["paid"], None)
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        sums = self.paid[stage, model]
        sums[:] = [sums[0] + 1, sums[1] + prompt, sums[2] + completion]

    def ended(self) -> list[tuple[str, Tokens]]:
        """Tokens paid for, with their model."""
        return [(model, (p, c)) for (_, model), (_, p, c) in self.paid.items()]


class Spending:
    """The account of a ledger.

    stage: of the calls noted from here. prices: model -> {"prompt_usd_per_million",
    "completion_usd_per_million"}; a model that is not there costs nothing. budget: {"usd",
    "tokens"} for all that was ever asked through this ledger; None: no limit.
    """

    def __init__(
        self,
        ledger: Path,
        stage: str = "",
        prices: Mapping[str, Mapping[str, float]] | None = None,
        budget: Mapping[str, float | None] | None = None,
    ):
        self.path, self.stage = Path(ledger) / FILE, stage
        self.prices, self.budget = prices or {}, budget or {}
        self._tally, self._read = Tally(), 0
        self._thread = threading.Lock()

    def ask(self, key: str, model: str, most: Tokens) -> bool:
        """Note a call that may take as many as `most` tokens; False, and nothing noted, when there
        is room for it only once calls under way have ended: ask again, a little later.

        The caller is inside of `Ledger.alone` with this key. Raises BudgetError when the budget may
        not suffice: nothing is noted, and nothing may be sent.
        """
        with self._locked() as file:
            if not self._fits(key, model, most):
                return False
            self._note(file, {"asked": key, **_call(self.stage, model, most)})
            return True

    def paid(self, key: str, model: str, tokens: Tokens) -> None:
        with self._locked() as file:
            self._note(file, {"paid": key, **_call(self.stage, model, tokens)})

    def settle(self, key: str, tokens: Tokens, alone: bool = False) -> None:
        """The call's answer is on record: note its end where a process was killed before it did.

        alone: the caller is inside of `Ledger.alone` with this key; else somebody who is there will
        note the end, and nothing is done.
        """
        if key not in self.tally().open:
            return
        with self._locked() as file:
            if key in self._tally.open and (alone or not is_asked(self.path.parent, key)):
                stage, model, _ = self._tally.open[key]
                self._note(file, {"paid": key, **_call(stage, model, tokens)})

    def drop(self, key: str) -> None:
        """The call had no answer."""
        with self._locked() as file:
            self._note(file, {"dropped": key})

    def tally(self) -> Tally:
        """All that is noted so far; nothing is written."""
        with self._thread:
            if self.path.exists():
                with open(self.path, "rb") as file:
                    self._catch_up(file)
            return self._tally

    def usd(self, model: str, tokens: Tokens) -> float:
        price = self.prices.get(model)
        if not price:
            return 0.0
        prompt, completion = tokens
        dollars = prompt * price["prompt_usd_per_million"]
        return (dollars + completion * price["completion_usd_per_million"]) / 1e6

    def _fits(self, own: str, model: str, most: Tokens) -> bool:
        """Whether the call has room beside all others; raises BudgetError if it never will."""
        ended, live = self._tally.ended(), []
        for key, (_, *call) in self._tally.open.items():
            # A former call for the same answer had no end, or it would not be asked for again.
            if key != own:
                (live if is_asked(self.path.parent, key) else ended).append(call)
        fits = True
        for key, unit, cost in (("usd", "${:,.4f}", self.usd), ("tokens", "{:,} tokens", _sum)):
            limit = self.budget.get(key)
            if limit is None:
                continue
            so_far, more = sum(cost(*one) for one in ended), cost(model, most)
            if so_far + more > limit:
                told = [unit.format(x) for x in (limit, so_far, more)]
                raise BudgetError(
                    "the budget of {} is reached: {} paid, and the next call could take {}".format(
                        *told
                    ),
                    where=f"config: budget.{key}",
                    hint="raise it, then run the same command: every answer paid for is kept",
                )
            fits &= so_far + more + sum(cost(*one) for one in live) <= limit
        return fits

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        """The file, this process alone, all of its lines counted."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Locks of one file opened twice exclude each other, so that threads wait too.
            with self._thread, open(self.path, "a+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._catch_up(file)
                yield file
        except OSError as error:
            raise UserError(
                f"cannot note what a call costs: {error.strerror}",
                where=str(self.path),
                hint="free some space or mend the permissions; the file system must have locks",
            ) from error

    def _catch_up(self, file) -> None:
        """Count the whole lines that came since."""
        if os.fstat(file.fileno()).st_size < self._read:
            self._tally, self._read = Tally(), 0
        file.seek(self._read)
        lines, _, _ = file.read().rpartition(b"\n")
        if not lines:
            return
        for line in lines.split(b"\n"):
            self._tally.take(line)
        self._read += len(lines) + 1

    def _note(self, file, event: dict[str, Any]) -> None:
        line = (dump_line(event) + "\n").encode("utf-8")
        # Behind the half line of a crash, a line of its own.
        cut = os.fstat(file.fileno()).st_size > self._read
        line = b"\n" + line if cut else line
        if os.write(file.fileno(), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._catch_up(file)


def _call(stage: str, model: str, tokens: Tokens) -> dict[str, Any]:
    return {"stage": stage, "model": model, "tokens": list(tokens)}


def _zeros() -> list[int]:
    return [0, 0, 0]


def _sum(_: str, tokens: Tokens) -> int:
    return sum(tokens)


def most_tokens(request: Mapping[str, Any]) -> Tokens:
    """The most tokens that a request can take: none of a prompt's has less than a byte."""
    messages = request["messages"]
    size = sum(len(m["content"].encode("utf-8", "replace")) for m in messages)
    return size + MESSAGE_TOKENS * (1 + len(messages)), request["max_tokens"]


def rows(spending: Spending) -> list[list[str]]:
    """A table of what was paid, as text: by stage and model, then by model, then in all."""
    found = [["stage", "model", "calls", "prompt", "completion", "usd"]]
    paid = spending.tally().paid
    models: dict[str, list[int]] = defaultdict(_zeros)
    usd: dict[str, float] = defaultdict(float)
    for (stage, model), sums in sorted(paid.items()):
        cost = spending.usd(model, (sums[1], sums[2]))
        found.append(_row(stage, model, sums, cost))
        models[model] = [a + b for a, b in zip(models[model], sums, strict=True)]
        usd[model] += cost
    found += [_row("all", model, models[model], usd[model]) for model in sorted(models)]
    if len(models) != 1:
        sums = [sum(column) for column in zip(*models.values(), strict=True)] or _zeros()
        found.append(_row("all", "all", sums, sum(usd.values())))
    return found


def in_a_line(spending: Spending) -> str:
    """All that was paid through the ledger, "" for nothing."""
    calls, prompt, completion, usd = rows(spending)[-1][2:]
    if calls == "0":
        return ""
    return f"answers: {calls} asked, {prompt} + {completion} tokens, ${usd}, over all runs"


def _row(stage: str, model: str, sums: list[int], usd: float) -> list[str]:
    return [stage, model, *(f"{number:,}" for number in sums), f"{usd:,.4f}"]
