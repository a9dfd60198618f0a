"""Collecting garbage: the least recently used goes, what is needed stays, nobody is disturbed."""

import os
import subprocess
from pathlib import Path

import pytest
from command import AIEV, ROOT, aiev, aiev_here, environment

from aiev.core.errors import UserError
from aiev.core.files import write_json
from aiev.core.locks import hold, try_lock
from aiev.engine import gc as garbage
from aiev.engine.gc import bytes_of, collect, entries_of
from aiev.engine.store import Store


@pytest.fixture
def store(tmp_path):
    """Four actions of about 1,000 bytes, `a...` used first and `d...` last."""
    (tmp_path / "Snakefile").touch()
    store = Store(tmp_path / ".aiev")
    for age, letter in enumerate("abcd"):
        write_action(store, letter * 64, 1000 + age)
    return store


def write_action(store, key: str, used: float) -> None:
    entry = store.entry(key)
    write_json(entry / "action.json", {})
    (entry / "made.0").write_bytes(bytes(997))
    os.utime(entry / "action.json", (used, used))


def left(store) -> str:
    return "".join(sorted(entry.key[0] for entry in entries_of(store)))


@pytest.mark.parametrize(
    ("most", "kept"), [(10_000, "abcd"), (4_000, "abcd"), (3_999, "bcd"), (2_000, "cd"), (0, "")]
)
def test_what_was_used_last_stays(most, kept, store):
    removed, found = collect(store, most)
    assert left(store) == kept == "".join(sorted(entry.key[0] for entry in found))
    assert len(removed) == 4 - len(kept)


def test_what_made_a_file_of_this_checkout_stays_unless_asked(store):
    write_json(store.root / "made/results/x.jsonl.json", {"key": "a" * 64})
    (store.root / "made/results/bad.json").write_text("{")
    collect(store, 0)
    assert left(store) == "a"
    collect(store, 0, spare_recorded=False)
    assert left(store) == ""


def test_what_is_used_meanwhile_stays(store, monkeypatch):
    monkeypatch.setattr(garbage.time, "time", lambda: 1002.5)
    collect(store, 0)
    assert left(store) == "d"


def test_what_dead_writers_left_is_swept_and_what_living_ones_write_is_not(store):
    shelf = store.entry("a" * 64).parent
    for name in (".part-old", ".part-new", ".gone-x"):
        (shelf / name).mkdir()
    os.utime(shelf / ".part-old", (1, 1))
    collect(store, 10_000)
    assert {p.name for p in shelf.iterdir()} == {"a" * 64, ".part-new"}


def deny(monkeypatch, name: str, denied) -> None:
    """Have a method of Path fail as for another user where `denied` says so: root may do all."""
    true = getattr(Path, name)

    def refuse(path, *arguments, **options):
        if denied(path):
            raise PermissionError(13, "Permission denied", str(path))
        return true(path, *arguments, **options)

    monkeypatch.setattr(Path, name, refuse)


def test_what_another_user_is_writing_is_passed_over(store, monkeypatch):
    part = store.entry("a" * 64).parent / ".part-closed"
    part.mkdir()
    deny(monkeypatch, "stat", lambda path: path.parent == part)
    collect(store, 0)
    assert left(store) == "" and part.exists()


def test_an_entry_in_another_user_s_folder_stays_and_is_said(store, monkeypatch):
    deny(monkeypatch, "rename", lambda path: path.name.startswith("a"))
    removed, kept = collect(store, 0)
    assert left(store) == "a" and len(removed) == 3
    assert [(entry.key[0], entry.spared) for entry in kept] == [("a", "another user's")]
    _, kept = collect(store, 1_000)
    assert [entry.spared for entry in kept] == [""], "it needs not go"


def test_a_writer_that_finishes_meanwhile_is_no_failure(store, monkeypatch):
    part = store.entry("a" * 64).parent / ".part-x"
    part.mkdir()
    glob = Path.glob

    def finished(path, pattern):
        found = list(glob(path, pattern))
        if part in found and part.exists():
            part.rename(part.with_name("ab" * 32))
        return found

    monkeypatch.setattr(Path, "glob", finished)
    collect(store, 0)
    assert not part.exists() and part.with_name("ab" * 32).exists()


OLD = 1000.0


def write_other(store, kind: str, name: str, used: float) -> Path:
    """A layer or a scratch directory of 1,000 bytes."""
    place = store.root / kind / name
    (place / "deep").mkdir(parents=True)
    (place / "deep/file").write_bytes(bytes(1000))
    for path in (place / "deep/file", place / "deep", place):
        os.utime(path, (used, used))
    return place


def gc(store, *arguments: str) -> str:
    done = aiev_here("gc", *arguments, root=store.root.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_layers_and_actions_go_by_their_last_use_together(store):
    layers = [write_other(store, "layers", f"{used}", used) for used in (999, 1001.5)]
    (store.root / "layers/.locks").mkdir()
    collect(store, 4_000)
    assert left(store) == "bcd" and [layer.exists() for layer in layers] == [False, True]
    collect(store, 2_000)
    assert left(store) == "cd" and not layers[1].exists()
    assert (store.root / "layers/.locks").exists()


def test_scratch_that_nobody_goes_on_from_goes_at_any_size(store):
    old = write_other(store, "scratch", "old", OLD)
    new = write_other(store, "scratch", "new", OLD)
    os.utime(new / "deep/file")
    collect(store, 10_000)
    assert left(store) == "abcd" and not old.exists() and new.exists()
    collect(store, 10_000, spare_recorded=False)
    assert not new.exists()


def test_layers_and_scratch_stay_while_something_works_here(store):
    places = [write_other(store, kind, "x", OLD) for kind in ("layers", "scratch")]
    with hold(store.root / "lock", "taken"):
        said = gc(store, "0", "--all")
    assert all(place.exists() for place in places) and left(store) == ""
    assert "another run or aiev gc is active in this directory (process" in said
    (store.root / "writing").mkdir()
    descriptor = try_lock(store.root / "writing/job")
    assert "a job of an earlier run is still active in this directory" in gc(store, "0", "--all")
    os.close(descriptor)
    gc(store, "0", "--all")
    assert not any(place.exists() for place in places)


def write_file(store, kind: str, name: str, used: float) -> Path:
    """A kept file of 1,000 bytes."""
    path = store.root / kind / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(1000))
    os.utime(path, (used, used))
    return path


@pytest.mark.parametrize("kind", ["oracles", "validated", "here"])
def test_files_of_benchmarks_go_by_their_last_use_beside_a_run(kind, store):
    old, new = (write_file(store, kind, f"{used}", used) for used in (999, 1001.5))
    part = write_file(store, kind, ".x.12.part", OLD)
    with hold(store.root / "lock", "taken"):
        said = gc(store, "5000B")
        assert left(store) == "abcd" and not old.exists() and new.exists() and not part.exists()
        assert f".aiev/{kind}: removed 1 " in said
        gc(store, "2000B")
    assert left(store) == "cd" and not new.exists()


def test_a_rebuild_goes_by_its_newest_file_unless_it_is_active(store):
    write_other(store, "verify", "results", OLD)
    newest = write_other(store, "verify", "logs", 1001.5)
    collect(store, 5_000)
    assert left(store) == "bcd" and newest.exists()
    with hold(store.root / "verify.lock", "taken"):
        said = gc(store, "0", "--all")
    assert newest.exists() and "of verify: aiev verify is active (process" in said
    assert ".aiev/verify: removed 1 rebuilds" in gc(store, "0", "--all")
    assert [path for path in store.root.iterdir() if "verify" in path.name] == [
        store.root / "verify.lock"
    ]


def test_what_was_changed_is_never_removed_and_its_size_is_said(store):
    changed = write_other(store, "changed", "results", OLD)
    assert ".aiev/changed: 0.0 MiB, never deleted automatically" in gc(store, "0", "--all")
    assert (changed / "deep/file").exists()


def test_why_the_size_is_not_reached_is_said(store):
    write_json(store.root / "made/results/x.jsonl.json", {"key": "a" * 64})
    said = gc(store, "0")
    assert "0.0 MiB are left, above the limit of 0.0 MiB" in said
    assert "of actions: made files of this checkout (--all removes" in said
    assert "are left" not in gc(store, "0", "--all")


def test_make_passes_size_and_all_on():
    for words, given in ((["SIZE=5GiB"], "5GiB"), (["SIZE=0", "ALL=yes"], "0 --all")):
        command = ["make", "--dry-run", "gc", *words]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
        assert f"aiev gc {given}\n" in said.replace(" \n", "\n")


def test_two_collectors_at_once(store):
    command, root = [*AIEV, "gc", "1500B"], store.root.parent
    options = {"cwd": root, "env": environment(), "stdout": subprocess.PIPE}
    both = [subprocess.Popen(command, **options) for _ in "ab"]
    assert [one.wait(60) for one in both] == [0, 0]
    for one in both:
        one.stdout.close()
    assert left(store) in ("", "d")


def test_the_command_says_what_it_did(store):
    done = aiev("gc", "2KiB", root=store.root.parent)
    assert done.returncode == 0 and "removed 2 actions" in done.stdout and left(store) == "cd"
    done = aiev_here("gc", "much", root=store.root.parent)
    assert done.returncode == 2 and "not a size: 'much'" in done.stderr


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12", 12), ("1.5KiB", 1536), ("20GiB", 20 << 30), ("3 MiB", 3 << 20)],
)
def test_sizes(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1GB", "1e3", "nan"])
def test_what_is_no_size(text):
    with pytest.raises(UserError, match="not a size"):
        bytes_of(text)
