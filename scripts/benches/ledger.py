"""How fast answers are found and put on record, by eight processes at once."""

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiev.core.hashing import of_json
from aiev.llm.ledger import Answer, Ledger
from benches import report

PROCESSES = 8
ENTRIES = 500
"""Of each process."""

WORDS = "Write a function that adds the numbers of a list, and asserts that prove it. "
"""A question of 40 of these, and an answer of 15, are 4 kB: as long as a dialogue's are."""


def ledger_read() -> None:
    """Answers found a second, against reading and parsing as many files of the same bytes."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = Path(folder)
        _at_once(root, _write)
        value = _at_once(root, _read)
        peer = _at_once(root, _read_plainly)
    report("ledger_read", value, "answers/s", "open, read and parse", peer, value / peer)


def ledger_write() -> None:
    """Answers on record a second, against as many new files of the same size in as many folders,
    written, flushed to disk and renamed."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for place in ("ledger", "plain"):
            # A ledger in use has all of its folders.
            for number in range(256):
                (Path(folder) / place / f"{number:02x}").mkdir(parents=True)
        value = _at_once(Path(folder) / "ledger", _write)
        peer = _at_once(Path(folder) / "plain", _write_plainly)
    report("ledger_write", value, "answers/s", "write, fsync, rename", peer, value / peer)


def _at_once(root: Path, work: Callable[[Path, int], None]) -> float:
    """Entries a second of `PROCESSES` processes that start together, to the end of the last."""
    fork = multiprocessing.get_context("fork")
    gate = fork.Barrier(PROCESSES + 1)

    def wait_and_work(number: int) -> None:
        gate.wait()
        work(root, number)

    workers = [fork.Process(target=wait_and_work, args=(number,)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    gate.wait()
    start = time.monotonic()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a process of the benchmark failed")
    return PROCESSES * ENTRIES / (time.monotonic() - start)


def _requests(number: int) -> list[dict]:
    messages = [{"role": "user", "content": WORDS * 40}]
    made = {"kind": "openai", "model": "m", "digest": "", "messages": messages, "max_tokens": 512}
    return [{**made, "seed": number * ENTRIES + i} for i in range(ENTRIES)]


def _write(root: Path, number: int) -> None:
    ledger = Ledger(root)
    for request in _requests(number):
        ledger.add(request, Answer(WORDS * 15, "stop", 800, 300))


def _read(root: Path, number: int) -> None:
    ledger = Ledger(root, "replay")
    for request in _requests(number):
        ledger.find(request)


def _read_plainly(root: Path, number: int) -> None:
    paths = [Ledger(root).path(of_json(request)) for request in _requests(number)]
    for path in paths:
        json.loads(path.read_bytes())


def _write_plainly(root: Path, number: int) -> None:
    for i in range(ENTRIES):
        folder = root / f"{i % 256:02x}"
        beside = folder / f".{number}-{i}"
        with open(beside, "wb") as file:
            file.write(b"x" * 4600)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, folder / f"{number}-{i}")
