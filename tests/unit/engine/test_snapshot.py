"""A run's copy of its sources: the same for the same, whole or not there."""

import os

import pytest

from aiev.core.errors import UserError
from aiev.engine.snapshot import CONFIG, SOURCES, UNUSED, same_sources, take_snapshot


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in SOURCES[1:]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    (tmp_path / "Snakefile").write_text("one")
    return tmp_path


def test_the_same_sources_are_copied_once(checkout):
    first = take_snapshot(checkout, {"name": "x"})
    assert (first / "Snakefile").read_text() == "one" and (first / CONFIG).is_file()
    before = (first / CONFIG).stat().st_mtime_ns
    assert take_snapshot(checkout, {"name": "x"}) == first
    assert (first / CONFIG).stat().st_mtime_ns == before


@pytest.mark.parametrize("what", ["Snakefile", "scripts/a.txt", "rules/a.txt", "config"])
def test_an_edit_is_another_copy_and_the_first_stays(checkout, what):
    first = take_snapshot(checkout, {"name": "x"})
    if what == "config":
        second = take_snapshot(checkout, {"name": "y"})
    else:
        (checkout / what).write_text("two")
        second = take_snapshot(checkout, {"name": "x"})
        assert (first / what).read_text() != "two" == (second / what).read_text()
    assert first != second


@pytest.mark.parametrize("damage", ["edited", "lost", "more"])
def test_a_copy_that_is_not_what_it_was_is_made_again(checkout, damage):
    place = take_snapshot(checkout, {"name": "x"})
    if damage == "lost":
        (place / "scripts/a.txt").unlink()
    else:
        (place / ("scripts/a.txt" if damage == "edited" else "rules/b.smk")).write_text("two")
    assert take_snapshot(checkout, {"name": "x"}) == place
    assert (place / "scripts/a.txt").read_text() == "scripts"
    assert not (place / "rules/b.smk").exists() and (place / CONFIG).exists()


def test_an_edit_while_a_run_begins_stops_it(checkout):
    copy = take_snapshot(checkout, {})
    same_sources(checkout, copy)
    (checkout / "rules/a.txt").write_text("two")
    with pytest.raises(UserError, match="changed while the run began"):
        same_sources(checkout, copy)


def test_copies_that_no_job_can_wait_for_are_removed(checkout):
    old = take_snapshot(checkout, {"name": "old"})
    os.utime(old, (1, old.stat().st_mtime - UNUSED - 1))
    recent = take_snapshot(checkout, {"name": "recent"})
    assert recent.exists() and not old.exists()
    assert [p.name for p in recent.parent.iterdir()] == [recent.name], "nothing half-made"
