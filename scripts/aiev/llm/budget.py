"""A budget in dollars and tokens, which stops a run before the call that could pass it.

Before a call is sent, as much as it can take is reserved; its end commits what it took. The sums
are kept up to date line by line (see `costs`), so that a call costs the same however many are under
way. Without a limit nothing is reserved.

A process holds the lock on a file of its own as long as it lives: the reservations of a process
that was killed are released as soon as they are in the way, though nobody asks the same questions
again. What the vendor bills for the calls that were under way when a process was killed is in no
sum. An attempt that was sent and lost while the process lives (no answer in time, a broken
connection, an answer that cannot be read) may be on the bill, and is committed in full. An HTTP
error, or a connection that was never made, costs nothing.
"""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from aiev.core.errors import BudgetError
from aiev.core.locks import is_locked, try_lock
from aiev.llm.costs import Costs, Tokens
from aiev.llm.ledger import LOCKS

MESSAGE_TOKENS = 32
"""That a chat template may put around a message, and around the whole."""


class Budget(Costs):
    """The account of a ledger, with limits.

    limits: {"usd", "tokens"} for all that was ever asked through this ledger; None: no limit.
    """

    def __init__(
        self,
        ledger: Path,
        stage: str = "",
        prices: Mapping[str, Mapping[str, float]] | None = None,
        limits: Mapping[str, float | None] | None = None,
    ):
        super().__init__(ledger, stage, prices)
        self.limits = {key: limit for key, limit in (limits or {}).items() if limit is not None}
        self._locks = Path(ledger) / LOCKS
        self._lease: tuple[int, str, int] | None = None

    def reserve(self, key: str, model: str, tokens: Tokens) -> bool:
        """Reserve room for a call that may take as many as `tokens`.

        False, and nothing reserved, when there is room for it only once calls under way have ended:
        try again a little later. Raises BudgetError when there will be none: nothing may be sent.
        """
        if not self.limits:
            return True
        with self._locked() as file:
            if not self._fits(model, tokens):
                self._reconcile(file)
                if not self._fits(model, tokens):
                    return False
            event = {"reserved": key, "process": self._process(), "model": model}
            self._append(file, event | {"tokens": list(tokens)})
            return True

    def release(self, key: str) -> None:
        """End the reservation of a call that was not billed."""
        if self.limits:
            with self._locked() as file:
                self._append(file, {"released": key, "process": self._process()})

    def close(self) -> None:
        """Give up this process's lock: what it still has reserved is released."""
        if self._lease and self._lease[0] == os.getpid():
            _, name, descriptor = self._lease
            self._path_of(name).unlink(missing_ok=True)
            os.close(descriptor)
        self._lease = None

    def _paid(self, key: str, model: str, tokens: Tokens) -> dict[str, Any]:
        own = {"process": self._process()} if self.limits else {}
        return super()._paid(key, model, tokens) | own

    def _reconcile(self, file: IO[bytes]) -> None:
        """Release the reservations of processes that have died."""
        for name in list(self._tally.open):
            if not is_locked(self._path_of(name)):
                self._append(file, {"expired": name})
                with suppress(OSError):
                    self._path_of(name).unlink()

    def _process(self) -> str:
        """Name of this process, whose lock it holds from its first reservation on."""
        if self._lease is None or self._lease[0] != os.getpid():  # a fork is another process
            name = uuid.uuid4().hex
            self._locks.mkdir(parents=True, exist_ok=True)
            self._lease = os.getpid(), name, try_lock(self._path_of(name))
        return self._lease[1]

    def _path_of(self, name: str) -> Path:
        return self._locks / f"process-{name}"

    def _fits(self, model: str, tokens: Tokens) -> bool:
        """Whether the call has room beside all others. Raises BudgetError if it never will."""
        fits = True
        for key, limit in self.limits.items():
            form, price = _FORMATS[key], _cost_of(self, key)
            paid = sum(price(name, sums) for (_, name), sums in self._tally.paid.items())
            more = price(model, (0, *tokens))
            if paid + more > limit:
                shown = [form.format(number) for number in (limit, paid, more)]
                raise BudgetError(
                    "the budget of {} is reached: {} paid, and the next call could take {}".format(
                        *shown
                    ),
                    where=f"config: execution.budget.{key}",
                    hint="raise it, then run the same command: every answer paid for is kept",
                )
            reserved = sum(price(name, sums) for name, sums in self._tally.reserved.items())
            fits &= paid + more + reserved <= limit
        return fits


_FORMATS = {"usd": "${:,.4f}", "tokens": "{:,} tokens"}


def _cost_of(budget: Budget, unit: str) -> Callable[[str, Any], float]:
    """Cost of (calls, prompt tokens, completion tokens) of a model."""
    if unit == "usd":
        return lambda model, sums: budget.usd(model, (sums[1], sums[2]))
    return lambda _, sums: sums[1] + sums[2]


def max_tokens_of(messages: Sequence[Mapping[str, str]], max_tokens: int) -> Tokens:
    """The most tokens that a request can take: none of a prompt's has less than a byte."""
    size = sum(len(m["content"].encode("utf-8", "replace")) for m in messages)
    return size + MESSAGE_TOKENS * (1 + len(messages)), max_tokens
