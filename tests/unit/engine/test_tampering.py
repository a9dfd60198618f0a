"""Outputs that were changed after they were made are found, whatever hides the change."""

import errno
import os
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.core.files import write_json
from aiev.core.hashing import of_bytes, of_path
from aiev.engine.store import Store
from aiev.engine.tampering import (
    QUARANTINE,
    changed_outputs,
    check_unrecorded,
    invalidate_mtimes,
    quarantine,
    quarantine_changed,
)

FILE, TREE = Path("results/tiny/a.jsonl"), Path("results/tiny/model")


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """A directory with a file and a checkpoint, both noted."""
    monkeypatch.chdir(tmp_path)
    TREE.mkdir(parents=True)
    FILE.write_text("made\n")
    (TREE / "model.bin").write_bytes(bytes(1000))
    (TREE / "config.json").write_text("{}")
    for path in (FILE, TREE):
        write_json(Path(f".aiev/made/{path}.json"), {"sha256": of_path(path)})
    assert changed_outputs("tiny") == []


def keep_times(path: Path, data: bytes) -> None:
    """Change a file's bytes and nothing that its directory shows."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_is_seen():
    flip(TREE / "model.bin", 500)
    assert changed_outputs("tiny") == [TREE]
    assert changed_outputs("tiny") == [TREE], "as long as it stays"


@pytest.mark.parametrize("change", ["flipped", "grown", "added", "removed"])
def test_a_change_without_a_new_time_is_seen(change):
    if change == "flipped":
        keep_times(FILE, b"mbde\n")
    if change == "grown":
        keep_times(FILE, b"made by hand\n")
    if change == "added":
        (TREE / "more.bin").write_bytes(b"")
    if change == "removed":
        (TREE / "config.json").unlink()
    assert changed_outputs("tiny") == [FILE if change in ("flipped", "grown") else TREE]


def test_what_was_read_is_not_read_again(monkeypatch):
    monkeypatch.setattr("aiev.engine.tampering.of_path", None)
    assert changed_outputs("tiny") == [] == changed_outputs("tiny")


def test_what_was_only_touched_is_as_it_was(monkeypatch):
    os.utime(FILE)
    assert changed_outputs("tiny") == []
    monkeypatch.setattr("aiev.engine.tampering.of_path", None)
    assert changed_outputs("tiny") == [], "read once, and no more"


def test_the_engine_s_own_mark_is_no_change():
    (TREE / ".snakemake_timestamp").touch()
    assert changed_outputs("tiny") == []


def test_missing_outputs_and_those_of_other_runs_are_not_reported():
    FILE.unlink()
    assert changed_outputs("tiny") == []
    flip(TREE / "model.bin", 0)
    assert changed_outputs("other") == []


def test_a_changed_output_is_kept_elsewhere(caplog):
    for text in ("mine\n", "mine again\n"):
        FILE.write_text(text)
        with caplog.at_level("WARNING", "aiev"):
            quarantine_changed("tiny", only_look=False)
        assert not FILE.exists() and str(FILE) in caplog.text
    kept = (QUARANTINE / FILE, QUARANTINE / FILE.with_name("a.jsonl.2"))
    assert [p.read_text() for p in kept] == ["mine\n", "mine again\n"]


def test_a_dry_run_moves_nothing(caplog):
    FILE.write_text("mine\n")
    with caplog.at_level("WARNING", "aiev"):
        quarantine_changed("tiny", only_look=True)
    assert FILE.read_text() == "mine\n" and "would" in caplog.text
    assert not QUARANTINE.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sha256"', "null"])
def test_damaged_bookkeeping_is_no_obstacle(text):
    Path(".aiev/seen.json").write_text(text)
    assert changed_outputs("tiny") == []
    Path(f".aiev/made/{FILE}.json").write_text(text)
    FILE.write_text("mine\n")
    assert changed_outputs("tiny") == []


def test_a_directory_is_moved_as_a_whole():
    flip(TREE / "model.bin", 0)
    assert (quarantine(TREE) / "config.json").is_file() and not TREE.exists()


@pytest.mark.parametrize("path", [FILE, TREE], ids=str)
def test_a_changed_output_on_another_disk_is_copied(path, monkeypatch):
    def other_disk(source, target, **_):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))

    monkeypatch.setattr("os.rename", other_disk)
    monkeypatch.setattr("os.replace", other_disk)
    before = of_path(path)
    place = quarantine(path)
    assert of_path(place) == before and not path.exists()


def test_an_output_that_cannot_be_moved_is_named_and_stays(monkeypatch):
    QUARANTINE.mkdir()
    (QUARANTINE / "results").write_text("a file")
    with pytest.raises(UserError, match="cannot be moved away") as caught:
        quarantine(FILE)
    assert caught.value.where == str(FILE) and FILE.read_text() == "made\n"


def test_outputs_count_as_old_where_snakemake_lost_its_metadata():
    """Those that were made of something: a pinned file is nobody's output to make again."""
    write_json(Path(f".aiev/made/{FILE}.json"), {"input_paths": {"seeds": ["code"]}})
    write_json(Path(f".aiev/made/{TREE}.json"), {"input_paths": {}})
    record = Path(".snakemake/metadata/record")
    record.parent.mkdir(parents=True)
    record.touch()
    invalidate_mtimes("tiny")
    assert FILE.stat().st_mtime > 1
    record.unlink()
    invalidate_mtimes("tiny")
    assert FILE.stat().st_mtime == 1 and TREE.stat().st_mtime > 1


PINNED_FILE = Path("resources/weights/tiny.gguf")
DECLARED = {PINNED_FILE.as_posix(): of_bytes(b"weights")}
OUTPUTS = {"resources/students/tiny", "results/tiny/scores.json"}


@pytest.fixture
def copied_in():
    """Files that came from another checkout, and some that are no output at all."""
    PINNED_FILE.parent.mkdir(parents=True)
    PINNED_FILE.write_bytes(b"weights")
    (PINNED_FILE.parent / "readme.txt").write_text("mine")
    student = Path("resources/students/tiny")
    student.mkdir(parents=True)
    (student / "model.bin").write_bytes(b"x")
    Path("results/tiny").mkdir(parents=True, exist_ok=True)
    Path("results/tiny/scores.json").write_text("{}")
    Path("results/tiny/notes.txt").write_text("mine")


def check(only_look: bool = False) -> None:
    check_unrecorded("tiny", DECLARED, OUTPUTS.__contains__, only_look)


def test_a_declared_file_that_was_copied_in_is_adopted_by_its_digest(copied_in, caplog):
    check()
    assert PINNED_FILE.read_bytes() == b"weights"
    assert Store().made(PINNED_FILE)["sha256"] == DECLARED[PINNED_FILE.as_posix()]
    assert "was copied in" in caplog.text
    caplog.clear()
    check()
    assert caplog.text == "", "it is on record now"
    PINNED_FILE.write_bytes(b"damaged")
    assert changed_outputs("tiny") == [PINNED_FILE]


def test_a_declared_file_with_other_bytes_is_fetched_again(copied_in, caplog):
    PINNED_FILE.write_bytes(b"damaged")
    check()
    assert not PINNED_FILE.exists() and Store().made(PINNED_FILE) is None
    assert (QUARANTINE / PINNED_FILE).read_bytes() == b"damaged"
    assert "other bytes than its declaration" in caplog.text


def test_outputs_that_were_copied_in_are_made_again_and_other_files_stay(copied_in):
    check()
    for path in OUTPUTS:
        assert not Path(path).exists() and (QUARANTINE / path).exists()
    assert Path("results/tiny/notes.txt").exists()
    assert (PINNED_FILE.parent / "readme.txt").exists()
    assert FILE.exists() and TREE.exists(), "made here"


def test_a_dry_run_adopts_and_moves_nothing(copied_in, caplog):
    check(only_look=True)
    assert all(Path(path).exists() for path in OUTPUTS) and not QUARANTINE.exists()
    assert Store().made(PINNED_FILE) is None
    assert caplog.text.count("a run would make it again") == 2
