"""The action store: a hit gives the bytes back, and whatever happens to it harms no one."""

import dataclasses
import errno
import multiprocessing
import os
import shutil
import sys
from pathlib import Path

import pytest
from needs import unavailable

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.core.hashing import of_path
from aiev.engine import store as module
from aiev.engine.action import Action, key_of
from aiev.engine.codehash import ENGINE
from aiev.engine.gc import discard
from aiev.engine.store import Store, place


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store():
    return Store(module.STORE)


def action(directory, **changes) -> Action:
    """An action with one input file and two outputs, one of them a directory."""
    source = directory / "in.txt"
    if not source.exists():
        source.write_text("input")
    own = {"rule": "r", "code": "c", "params": {"a": 1}, "inputs": {"source": [source]}}
    own |= {"outputs": {"text": [directory / "out.txt"], "tree": [directory / "tree"]}}
    return Action(**{**own, "environment": "e", **changes})


def made(directory, text="made") -> dict:
    """What a job wrote, beside its final places."""
    part = directory / ".part"
    shutil.rmtree(part, ignore_errors=True)
    (part / "tree" / "deep").mkdir(parents=True)
    (part / "out.txt").write_text(text)
    (part / "tree" / "deep" / "a.bin").write_bytes(bytes(range(256)))
    return {"text": [part / "out.txt"], "tree": [part / "tree"]}


def saved(store, directory) -> tuple[str, Action]:
    one = action(directory)
    key = key_of(one.description())
    store.save(key, one.description(), made(directory))
    return key, one


def test_a_hit_restores_files_and_directories(store, directory):
    key, one = saved(store, directory)
    record = store.restore(key, one.outputs)
    assert record["rule"] == "r" and record["key"] == key
    assert (directory / "out.txt").read_text() == "made"
    assert (directory / "tree/deep/a.bin").read_bytes() == bytes(range(256))


def test_a_hit_replaces_what_stands_there(store, directory):
    key, one = saved(store, directory)
    (directory / "out.txt").mkdir()
    (directory / "tree").write_text("a file")
    assert store.restore(key, one.outputs)
    assert (directory / "out.txt").read_text() == "made" and (directory / "tree").is_dir()


def test_what_is_not_there_is_a_miss(store, directory):
    assert store.restore("0" * 64, action(directory).outputs) is None


@pytest.mark.parametrize(
    "change",
    [{"rule": "s"}, {"code": "d"}, {"params": {"a": 2}}, {"params": {}}, {"environment": "f"}],
    ids=str,
)
def test_each_part_decides_the_key(change, directory):
    assert key_of(action(directory).description()) != key_of(
        action(directory, **change).description()
    )


def test_another_engine_has_other_keys(directory, monkeypatch):
    before = key_of(action(directory).description())
    monkeypatch.setattr("aiev.engine.action.ENGINE", ENGINE + 1)
    assert key_of(action(directory).description()) != before


KNOWN = {1: "8ab84603a8392b5b3fd45a43f4aac921ed12a0a7f84f93c0780da974403cbfd4"}
"""Keys of one action, by the ENGINE that made them."""


def test_what_makes_up_a_key_changes_only_with_the_engine(directory):
    """Under the same ENGINE, keys of another form would silently miss all that is stored. To
    change what a key is made of, raise ENGINE and add the new key above."""
    assert KNOWN.get(ENGINE) == key_of(action(directory).description())


def test_contents_of_inputs_decide_the_key_and_names_do_not(directory):
    before = key_of(action(directory).description())
    (directory / "moved.txt").write_text("input")
    moved = action(directory, inputs={"source": [directory / "moved.txt"]})
    assert key_of(moved.description()) == before
    (directory / "in.txt").write_text("another")
    assert key_of(action(directory).description()) != before


def test_a_missing_input_is_named(directory):
    with pytest.raises(UserError, match="does not exist") as caught:
        action(directory, inputs={"source": [directory / "gone.txt"]})
    assert "gone.txt" in caught.value.where


def damage_byte(entry):
    (entry / "text.0").write_text("edam")


def damage_missing(entry):
    (entry / "text.0").unlink()


def damage_tree(entry):
    (entry / "tree.0/deep/more").write_text("more")


def damage_no_record(entry):
    (entry / "action.json").unlink()


def damage_empty_record(entry):
    (entry / "action.json").write_text("")


def damage_half_record(entry):
    text = (entry / "action.json").read_text()
    (entry / "action.json").write_text(text[: len(text) // 2])


def damage_other_record(entry):
    (entry / "action.json").write_text('{"outputs": {}}')


def damage_list_record(entry):
    (entry / "action.json").write_text("[]")


DAMAGES = [value for name, value in globals().items() if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_a_damaged_entry_is_a_miss_and_is_made_again(damage, store, directory):
    key, one = saved(store, directory)
    damage(store.entry(key))
    assert store.restore(key, one.outputs) is None
    store.save(key, one.description(), made(directory))
    assert store.restore(key, one.outputs)
    assert (directory / "out.txt").read_text() == "made"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE], ids=os.strerror)
def test_an_entry_that_cannot_be_read_is_a_miss_and_stays(number, store, directory, monkeypatch):
    """A disk that is away for a moment erases no sound checkpoint."""
    key, one = saved(store, directory)

    def fails(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as away:
        away.setattr(module, "of_path", fails)
        assert store.restore(key, one.outputs) is None
    assert store.restore(key, one.outputs), "the disk is back"


def test_a_crash_while_storing_leaves_no_entry(store, directory, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", killed)
    one = action(directory)
    key = key_of(one.description())
    with pytest.raises(KeyboardInterrupt):
        store.save(key, one.description(), made(directory))
    assert store.restore(key, one.outputs) is None
    assert [p.name for p in (store.root / "actions" / key[:2]).iterdir()] == []


@pytest.mark.parametrize("where", ["shutil.copyfile", "os.fsync"])
def test_a_full_disk_while_storing_is_no_failure(where, store, directory, monkeypatch):
    """The job is done: its outputs are as good without a copy in the store."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    one, parts = action(directory), made(directory)
    key = key_of(one.description())
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        record = store.save(key, one.description(), parts)
    assert set(record["outputs"]) == {"text", "tree"}
    assert not store.entry(key).exists()
    assert list(store.entry(key).parent.iterdir()) == []


def test_a_full_disk_while_restoring_leaves_the_old_file_and_no_part(directory, monkeypatch):
    (directory / "new").write_text("new")
    (directory / "old").write_text("old")

    def full(source, target, **_):
        target.write_text("n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        place(directory / "new", directory / "old")
    assert (directory / "old").read_text() == "old"
    assert sorted(p.name for p in directory.iterdir()) == ["new", "old"]


def test_other_bytes_of_the_same_action_are_reported_and_not_stored(store, directory, caplog):
    key, one = saved(store, directory)
    with caplog.at_level("WARNING", "aiev"):
        store.save(key, one.description(), made(directory, "other"))
    assert "not deterministic" in caplog.text
    store.restore(key, one.outputs)
    assert (directory / "out.txt").read_text() == "made"


def save_in(root, key, description, parts, barrier):
    barrier.wait()
    Store(root).save(key, description, parts)


def test_savers_at_once_leave_one_whole_entry(store, directory):
    one, parts = action(directory), made(directory)
    key = key_of(one.description())
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(6)
    arguments = (store.root, key, one.description(), parts, barrier)
    savers = [fork.Process(target=save_in, args=arguments) for _ in range(6)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join(30)
    assert [saver.exitcode for saver in savers] == [0] * 6
    assert [p.name for p in store.entry(key).parent.iterdir()] == [key]
    assert store.restore(key, one.outputs)


def test_the_note_says_how_a_file_was_made(store, directory):
    key, one = saved(store, directory)
    record = store.restore(key, one.outputs)
    store.note(record, relative(one))
    noted = read_json(store.root / "made" / "out.txt.json")
    assert noted["key"] == key and noted["input_paths"]["source"][0].endswith("in.txt")
    assert "made" not in noted["outputs"] and set(noted["outputs"]) == {"text", "tree"}
    assert noted["sha256"] == of_path(directory / "out.txt") == noted["outputs"]["text"][0]
    assert store.made(Path("tree"))["sha256"] == of_path(directory / "tree")
    assert store.made(Path("nobody's")) is None


def relative(one: Action) -> Action:
    """With its outputs named as the workflow names them."""
    outputs = {n: [Path(p.name) for p in paths] for n, paths in one.outputs.items()}
    return dataclasses.replace(one, outputs=outputs)


def test_other_bytes_are_reported_by_name_though_the_store_was_lost(store, directory, caplog):
    key, one = saved(store, directory)
    record = store.restore(key, one.outputs)
    store.note(record, relative(one))
    shutil.rmtree(store.actions)
    again = store.save(key, one.description(), made(directory, "other"))
    with caplog.at_level("WARNING", "aiev"):
        store.compare(again, relative(one).outputs)
    assert f"action {key} made other bytes of out.txt" in caplog.text and "tree" not in caplog.text


def test_a_store_may_be_shared_by_checkouts(directory, monkeypatch, tmp_path_factory):
    shared = tmp_path_factory.mktemp("shared")
    monkeypatch.setenv(module.SHARED, str(shared))
    key, one = saved(module.open_store(), directory)
    assert {p.name for p in shared.iterdir()} == {"actions"}
    monkeypatch.chdir(tmp_path_factory.mktemp("other"))
    other = module.open_store()
    assert other.restore(key, {n: [Path(n)] for n in one.outputs})
    assert Path("text").read_text() == "made"
    assert other.scratch(key).is_relative_to(module.STORE), "its own, though actions are shared"


def as_another_user(check) -> int:
    """Exit code of a process of the user "nobody" that calls `check`, in a directory of its own."""
    if os.getuid() != 0:
        unavailable("only root can become another user")

    def run() -> None:
        os.setgid(65534)
        os.setuid(65534)
        check()

    os.chmod(".", 0o777)
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(30)
    return process.exitcode


@pytest.mark.parametrize("readable", [True, False])
def test_the_store_of_another_user_is_a_help_and_no_obstacle(readable, store, directory):
    key, one = saved(store, directory)
    (store.entry(key) / "text.0").chmod(0o644 if readable else 0o600)
    # Relative paths: pytest's own directories are closed to other users.
    shared, places = Store(Path(".aiev")), {n: [Path(n)] for n in one.outputs}
    parts = {n: [Path(".part", p.name) for p in ps] for n, ps in one.outputs.items()}

    def second_user() -> None:
        assert (shared.restore(key, places) is not None) == readable
        assert Path("text").exists() == readable
        for name in (key, key[:2] + "0" * 62, "0" * 64):
            shared.save(name, {"rule": "r"}, parts)

    assert as_another_user(second_user) == 0
    assert [p.name for p in store.entry(key).parent.iterdir()] == [key], "all of it is root's"
    assert store.restore(key, one.outputs)


def test_a_hit_is_a_use(store, directory):
    key, one = saved(store, directory)
    record = store.entry(key) / "action.json"
    os.utime(record, (1, 1))
    store.restore(key, one.outputs)
    assert record.stat().st_mtime > 1


@pytest.fixture
def at_copy():
    """Call a function when the n-th file is copied from now on: Python reports each copy."""
    state = {"left": 0, "call": None}

    def hook(event, arguments):
        if event == "shutil.copyfile" and state["call"]:
            state["left"] -= 1
            if state["left"] == 0:
                call, state["call"] = state["call"], None
                call()

    sys.addaudithook(hook)  # there is no way to remove one
    yield lambda number, call: state.update(left=number, call=call)
    state["call"] = None


@pytest.mark.parametrize("number", range(1, 7))
def test_an_entry_that_is_collected_while_it_is_copied_is_a_miss(number, store, directory, at_copy):
    one = action(directory)
    key, files = key_of(one.description()), made(directory)
    for name in "bcde":
        (files["tree"][0] / "deep" / f"{name}.bin").write_bytes(bytes(100))
    store.save(key, one.description(), files)
    at_copy(number, lambda: discard(store.entry(key)))
    assert store.restore(key, one.outputs) is None
    assert not [p for p in directory.rglob("*.part") if p.name != ".part"]
    # The job then runs, and its result is stored.
    store.save(key, one.description(), made(directory))
    assert store.restore(key, one.outputs)


def test_a_full_disk_while_a_directory_is_copied_is_that_error(store, directory, at_copy):
    key, one = saved(store, directory)

    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    at_copy(2, full)
    with pytest.raises(OSError) as caught:
        store.restore(key, one.outputs)
    assert caught.value.errno == errno.ENOSPC and store.entry(key).exists()


def test_the_record_holds_no_path(store, directory):
    key, _ = saved(store, directory)
    assert str(directory) not in (store.entry(key) / "action.json").read_text()
