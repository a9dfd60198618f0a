"""What a call costs under a budget: whether more when a run of the paper's size is nearly over than
when it begins, and with many calls under way.

`paid_call` takes minutes and a gigabyte of disk, so that it is run by name only.
"""

import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from aiev.core.files import dump_line
from aiev.core.hashing import of_json, of_text
from aiev.llm.budget import Budget
from aiev.llm.client import ChatClient
from aiev.llm.costs import FILE
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.ledger import Ledger
from benches import report

DIALOGUES = 169_000
CALLS_EACH = 7
"""Of a dialogue, see docs/cluster.md."""

BEFORE = int(os.environ.get("SCALE_ENTRIES", DIALOGUES * CALLS_EACH))
"""Calls that were paid before the last ones. Fewer, to see how the figures grow."""

IN_FLIGHT = 256
CALLS = 1024
MODEL = "scripted"
QUESTION, ANSWER = "Write a function that adds numbers. " * 80, "def add(a, b): return a + b\n" * 40
PRICES = {MODEL: {"prompt_usd_per_million": 10, "completion_usd_per_million": 30}}
LIMITS = {"usd": 1e9, "tokens": 1e15}

OPEN_CALLS, OPEN_CALLS_MS = 1600, 1.0
"""Calls under way, and the most that the budget may take for one more, from the requirements."""

RESERVATIONS = 500


def paid_call() -> None:
    """Time of a call with 256 in flight under a budget, after `BEFORE` others, to one of the first;
    of the processor, and of the clock. The model is a server in a process of its own, which answers
    at once."""
    with tempfile.TemporaryDirectory(dir=".") as folder, _model() as url:
        first = _calls(url, Path(folder) / "new")
        _fill(Path(folder) / "used")
        last = _calls(url, Path(folder) / "used")
        names = ("paid_call", "paid_call_clock")
        for name, after, before in zip(names, last, first, strict=True):
            report(name, 1e3 * after, "ms", f"before {BEFORE} others", 1e3 * before, before / after)


def open_calls() -> None:
    """Milliseconds that the budget takes for a call, reserved and then paid, while `OPEN_CALLS`
    others are under way, against the most that it may. The median wall time; its lines go to a file
    in this directory, as a ledger's do."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        budget = Budget(Path(folder), "dialogues", PRICES, LIMITS)
        for number in range(OPEN_CALLS):
            budget.reserve(f"open {number}", MODEL, (800, 300))
        took = 1e3 * median(_seconds(budget, f"{number}") for number in range(RESERVATIONS))
        budget.close()
    report("open_calls", took, "ms", "the limit", OPEN_CALLS_MS, OPEN_CALLS_MS / took)


def _seconds(budget: Budget, key: str) -> float:
    start = time.perf_counter()
    budget.reserve(key, MODEL, (800, 300))
    budget.commit(key, MODEL, (700, 200))
    return time.perf_counter() - start


def _calls(url: str, ledger: Path) -> tuple[float, float]:
    """Seconds that a call takes of this process's processor time, and of the clock."""

    async def ask() -> tuple[float, float]:
        endpoint = Endpoint("openai", MODEL, "1", url, slots=IN_FLIGHT)
        budget = Budget(ledger, "dialogues", PRICES, LIMITS)
        async with ChatClient(endpoint, Ledger(ledger), budget=budget) as chat:
            # Connections are opened, and what was spent is read, once in a job.
            await asyncio.gather(*(_ask(chat, -number - 1) for number in range(IN_FLIGHT)))
            used, start = time.process_time(), time.monotonic()
            await asyncio.gather(*(_ask(chat, number) for number in range(CALLS)))
            return time.process_time() - used, time.monotonic() - start

    processor, clock = asyncio.run(ask())
    return processor / CALLS, clock / CALLS


async def _ask(chat: ChatClient, number: int) -> None:
    await chat.complete([{"role": "user", "content": f"{number}: {QUESTION}"}])


def _fill(root: Path) -> None:
    """A ledger in which `BEFORE` calls are on record and paid, not flushed to disk one by one."""
    for number in range(256):
        (root / f"{number:02x}").mkdir(parents=True)
    ledger = Ledger(root)
    answer = {"text": ANSWER, "finish_reason": "stop", "prompt_tokens": 8, "completion_tokens": 3}
    with open(root / FILE, "w", encoding="utf-8") as spending:
        for number in range(BEFORE):
            messages = [{"role": "user", "content": f"before {number}: {QUESTION}"}]
            request = {"kind": "openai", "model": MODEL, "digest": "1", "messages": messages}
            entry = {"request": request, "answer": answer, "digest": of_json([request, answer])}
            key = of_json(request)
            ledger.path(key).write_text(dump_line(entry) + "\n", "utf-8")
            process = of_text(f"{number // 10_000}")[:32]
            about = {"process": process, "model": MODEL, "tokens": [800, 300]}
            for event in ({"reserved": key}, {"paid": key, "stage": "dialogues"}):
                spending.write(dump_line({**event, **about}) + "\n")


@contextmanager
def _model() -> Iterator[str]:
    """The address of a server that answers each question in the same words at once."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    server = fork.Process(target=lambda: asyncio.run(_serve(theirs)), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        server.kill()
        server.join()


async def _serve(told) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}}
    usage = {"prompt_tokens": 800, "completion_tokens": 300, "total_tokens": 1100}
    said = {"id": "x", "object": "chat.completion", "created": 0, "model": MODEL, "usage": usage}
    body = json.dumps({**said, "choices": [{**choice, "finish_reason": "stop"}]}).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while lines := (await reader.readuntil(b"\r\n\r\n")).lower():
                length = int(lines.partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=IN_FLIGHT)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
