"""Progress and logs: a bar on a terminal, plain lines in a log file."""

import logging
import re
import sys
import time
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("aiev")
LINE = "%(asctime)s %(levelname).1s %(message)s"
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ ([DIWEC]) ", re.MULTILINE)
"""Start of a record in a log file; a message may have many lines."""


def start_log(path: Path | None) -> None:
    """Send the project's log lines to `path` (fresh) and its warnings to the terminal too."""
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # a full disk has no room for the log either
    log.handlers.clear()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
        file.setFormatter(logging.Formatter(LINE))
        log.addHandler(file)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING if path else logging.INFO)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(terminal)


def last_error(path: Path) -> str:
    """The last error in a log that `start_log` began, with its lines; "" where there is none."""
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    found = list(_RECORD.finditer(text))
    errors = [n for n, record in enumerate(found) if record[1] == "E"]
    if not errors:
        return ""
    last = errors[-1]
    end = found[last + 1].start() if last + 1 < len(found) else len(text)
    return text[found[last].end() : end].strip()


class Progress:
    """Counts `total` units of work: what, how many of how many, rate, time left.

    A bar where stderr is a terminal; elsewhere, and in the log, a line at most every `every` s.
    """

    def __init__(self, what: str, total: int, unit: str = "item", every: float = 15.0):
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done, self.note = 0, ""
        self.start = self.last = time.monotonic()

    def __enter__(self) -> "Progress":
        self.bar = tqdm(
            total=self.total,
            desc=self.what,
            unit=self.unit,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        self._line()

    def step(self, note: str = "", count: int = 1) -> None:
        """Mark `count` units as done; `note` says how it goes (`7 kept`, `loss 1.2`)."""
        self.done, self.note = self.done + count, note
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(count)
        if time.monotonic() - self.last >= self.every and self.done < self.total:
            self._line()

    def _line(self) -> None:
        self.last = time.monotonic()
        spent = max(self.last - self.start, 1e-9)
        rate = self.done / spent
        left = f"{(self.total - self.done) / rate:.0f} s left" if rate else "no estimate yet"
        if self.done >= self.total:
            left = f"{spent:.0f} s"
        speed = f", {rate:.2f} {self.unit}/s" if self.done else ""
        text = f"{self.what}: {self.done} of {self.total}{speed}, {left}"
        text += f", {self.note}" if self.note else ""
        log.info(text)
        if self.bar.disable and not _on_terminal():
            print(text, file=sys.stderr, flush=True)


def _on_terminal() -> bool:
    """Whether the log shows its information on stderr, so that nothing is to be printed too."""
    return any(
        type(handler) is logging.StreamHandler and handler.level <= logging.INFO
        for handler in log.handlers
    )
