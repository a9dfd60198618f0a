"""`aiev gc`: keeps the stores below .aiev under a size."""

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from aiev.cli.options import check_checkout
from aiev.core.errors import UserError

if TYPE_CHECKING:
    from aiev.engine.gc import Entry
    from aiev.engine.store import Store

NAMES = {
    "actions": "actions",
    "layers": "layers",
    "scratch": "scratch directories",
    "verify": "rebuilds",
    "oracles": "expected outputs",
    "validated": "validations",
    "here": "marks",
}
"""What the entries of each directory are called."""

SizeArgument = Annotated[
    str, typer.Argument(metavar="SIZE", help="Keep at most so much, as 20GiB or 500MiB.")
]
AllOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Also delete the stored copies of results that exist now; if such a result is lost, "
        "it is computed again.",
    ),
]


def gc(size: SizeArgument = "20GiB", everything: AllOption = False) -> None:
    """Delete finished actions, packages and other caches, least recently used first; old scratch
    files at any size.

    Nothing is lost but time: what was deleted is made again when it is needed. Files that you
    changed by hand (.aiev/changed) are never deleted.

    \b
      aiev gc 5GiB
      aiev gc 0 --all
    """
    check_checkout()
    from aiev.engine.directories import check_directories
    from aiev.engine.gc import bytes_of, collect
    from aiev.engine.store import open_store

    check_directories()
    limit, store = bytes_of(size), open_store()
    with ExitStack() as stack:
        busy = _find_activity(stack)
        removed, kept = collect(store, limit, spare_recorded=not everything, busy=busy)
    _report(store, removed, kept, limit)


def _find_activity(stack: ExitStack) -> dict[str, str]:
    """What is active in this directory, by the kind of entry that it uses. What is not cannot start
    before `stack` closes."""
    from aiev.core.locks import hold
    from aiev.engine.run_lock import LOCK, jobs_at_work
    from aiev.engine.store import STORE

    found = {}
    try:
        stack.enter_context(hold(LOCK, "another run or aiev gc is active in this directory"))
        jobs = "a job of an earlier run is still active in this directory"
        active = jobs if jobs_at_work() else ""
    except UserError as error:
        active = error.message
    if active:
        found = {"layers": active, "scratch": active}
    try:
        stack.enter_context(hold(STORE / "verify.lock", "aiev verify is active"))
    except UserError as error:
        found["verify"] = error.message
    return found


def _report(store: "Store", removed: "list[Entry]", kept: "list[Entry]", limit: int) -> None:
    from aiev.engine.gc import size_of

    for kind, name in NAMES.items():
        if kind == "actions" or any(entry.kind == kind for entry in removed + kept):
            place = store.actions if kind == "actions" else store.root / kind
            gone, left = (_count(entries, kind, name) for entries in (removed, kept))
            print(f"{place}: removed {gone}; kept {left}")
    changed = size_of(store.root / "changed")
    if changed:
        print(f"{store.root / 'changed'}: {_mib(changed)}, never deleted automatically")
    size = sum(entry.size for entry in kept)
    if size > limit:
        print(f"{_mib(size)} are left, above the limit of {_mib(limit)}, because these are kept:")
        spared = Counter()
        for entry in kept:
            spared[f"{entry.kind}: {entry.spared}"] += entry.size
        print("\n".join(f"  {_mib(size)} of {why}" for why, size in sorted(spared.items())))


def _count(entries: "list[Entry]", kind: str, name: str) -> str:
    sizes = [entry.size for entry in entries if entry.kind == kind]
    return f"{len(sizes)} {name} of {_mib(sum(sizes))}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
