"""What a ledger and an action store of a million entries cost. Minutes of work and gigabytes of
disk, so that they are run by name only."""

import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiev.core.files import dump_line
from aiev.core.hashing import of_bytes, of_json
from aiev.engine.gc import collect
from aiev.engine.store import Store
from aiev.llm.ledger import Ledger
from aiev.llm.ledger_pack import entries, pack
from benches import report

ENTRIES = int(os.environ.get("SCALE_ENTRIES", 1_000_000))
"""Fewer, to see how the figures grow."""

LOOKED_UP = 1000
QUESTION, ANSWER = "Write a function that adds numbers. " * 80, "def add(a, b): return a + b\n" * 40


def ledger_million() -> None:
    """Listing and packing a large ledger, to `find` and to `tar | gzip`; and one look into it."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = Path(folder) / "ledger"
        requests = _fill(root)
        _report_files("ledger_inodes", root)
        theirs = _seconds(lambda: _run(f"find {root} -name '*.json' | sort"))
        ours = _seconds(lambda: sum(1 for _ in entries(root)))
        report("ledger_list", ours, "s", "find | sort", theirs, theirs / ours)
        ledger = Ledger(root, "replay")
        found = _seconds(lambda: [ledger.find(request) for request in requests]) / len(requests)
        paths = [ledger.path(of_json(request)) for request in requests]
        read = _seconds(lambda: [path.read_bytes() for path in paths]) / len(paths)
        report("ledger_find", 1e6 * found, "us", "reading the file", 1e6 * read, read / found)
        theirs = _seconds(lambda: _run(f"tar -C {folder} -c ledger | gzip -6 >{folder}/it.tar.gz"))
        target = Path(folder) / "it.jsonl.gz"
        ours = _seconds(lambda: pack(root, target))
        report("ledger_pack", ours, "s", "tar | gzip -6", theirs, theirs / ours)
        sizes = [p.stat().st_size / 2**20 for p in (target, target.with_name("it.tar.gz"))]
        report("ledger_pack_size", sizes[0], "MiB", "tar | gzip -6", sizes[1], sizes[1] / sizes[0])
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        whole = _size(root)
        report("ledger_memory", memory, "MiB at most", "all entries", whole, whole / memory)


def store_million() -> None:
    """Taking an action from a large store, and looking for what to remove from it."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = Store(Path(folder) / ".aiev")
        keys = _fill_store(store)
        _report_files("store_inodes", store.actions)
        target = Path(folder) / "back"
        ours = _seconds(lambda: [store.restore(key, {"made": [target]}) for key in keys]) / len(
            keys
        )
        places = [store.entry(key) / "made.0" for key in keys]
        theirs = _seconds(lambda: [target.write_bytes(p.read_bytes()) for p in places]) / len(keys)
        report("store_restore", 1e6 * ours, "us", "copying the file", 1e6 * theirs, theirs / ours)
        theirs = _seconds(lambda: _run(f"du -s {store.actions}"))
        ours = _seconds(lambda: collect(store, 2**60))
        report("store_gc", ours, "s", "du", theirs, theirs / ours)


def _fill(root: Path) -> list[dict[str, Any]]:
    """Entries as the ledger writes them, but not each flushed to disk; some of their requests."""
    for number in range(256):
        (root / f"{number:02x}").mkdir(parents=True)
    ledger, kept = Ledger(root), []
    some = set(random.Random(0).sample(range(ENTRIES), min(LOOKED_UP, ENTRIES)))
    for number in range(ENTRIES):
        messages = [{"role": "user", "content": f"{number}: {QUESTION}"}]
        request = {"kind": "openai", "model": "m", "digest": "", "messages": messages, "seed": 0}
        answer = {"text": f"# {number}\n{ANSWER}", "finish_reason": "stop"}
        answer |= {"prompt_tokens": 800, "completion_tokens": 300}
        entry = {"request": request, "answer": answer, "digest": of_json([request, answer])}
        ledger.path(of_json(request)).write_text(dump_line(entry) + "\n", "utf-8")
        if number in some:
            kept.append(request)
    return kept


def _fill_store(store: Store) -> list[str]:
    """Actions of one small file each, as the store keeps them; keys of some."""
    made = b"one line of some dialogues\n"
    digest, keys = of_bytes(made), []
    for number in range(ENTRIES):
        description = {"rule": "write_dialogues", "code": "", "params": {"number": number}}
        key = of_json(description)
        entry = store.entry(key)
        entry.mkdir(parents=True)
        (entry / "made.0").write_bytes(made)
        record = {**description, "key": key, "outputs": {"made": [digest]}}
        (entry / "action.json").write_text(dump_line(record) + "\n", "utf-8")
        keys.append(key)
    return random.Random(0).sample(keys, min(LOOKED_UP, ENTRIES))


def _report_files(name: str, root: Path) -> None:
    inodes = int(_run(f"find {root} | wc -l"))
    report(name, inodes, "inodes", "entries", ENTRIES, ENTRIES / inodes)
    on_disk, size = int(_run(f"du -sm {root}").split()[0]), _size(root)
    report(f"{name.partition('_')[0]}_disk", on_disk, "MiB", "their bytes", size, size / on_disk)


def _size(root: Path) -> float:
    """MiB of the files' contents."""
    return int(_run(f"du -sb {root}").split()[0]) / 2**20


def _run(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def _seconds(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
