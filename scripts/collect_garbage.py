"""Keep .aiev below a size: finished actions, layers of packages, and what stopped jobs left."""

import argparse
import sys
from collections import Counter
from contextlib import ExitStack

from aiev.core.errors import UserError
from aiev.core.locks import hold
from aiev.engine.gc import Entry, bytes_of, collect, size_of
from aiev.engine.run_lock import LOCK, jobs_at_work
from aiev.engine.store import Store, open_store

KINDS = ("actions", "layers", "scratch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", default="20GiB", help="at most so much is kept")
    parser.add_argument("--all", action="store_true", help="also what made files of this checkout")
    arguments = parser.parse_args()
    most, store = bytes_of(arguments.size), open_store()
    with ExitStack() as stack:
        busy = _busy(stack)
        removed, kept = collect(store, most, spare_noted=not arguments.all, busy=busy)
    _tell(store, removed, kept, most)


def _busy(stack: ExitStack) -> str:
    """What works in this directory; "" where nothing does, nor starts before `stack` is closed."""
    try:
        stack.enter_context(hold(LOCK, "a run or another collector works in this directory"))
    except UserError as error:
        return error.message
    return "a job of a run that is over works in this directory" if jobs_at_work() else ""


def _tell(store: Store, removed: list[Entry], kept: list[Entry], most: int) -> None:
    for kind in KINDS:
        place = store.actions if kind == "actions" else store.root / kind
        print(f"{place}: removed {_said(removed, kind)}; kept {_said(kept, kind)}")
    changed = size_of(store.root / "changed")
    if changed:
        print(f"{store.root / 'changed'}: {_mib(changed)}, which only you remove")
    left = sum(entry.size for entry in kept)
    if left > most:
        print(f"{_mib(left)} are left, more than {_mib(most)}, as these stay:")
        spared = Counter()
        for entry in kept:
            spared[f"{entry.kind}: {entry.spared}"] += entry.size
        print("\n".join(f"  {_mib(size)} of {why}" for why, size in sorted(spared.items())))


def _said(entries: list[Entry], kind: str) -> str:
    sizes = [entry.size for entry in entries if entry.kind == kind]
    return f"{len(sizes)} {kind} of {_mib(sum(sizes))}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"gc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
