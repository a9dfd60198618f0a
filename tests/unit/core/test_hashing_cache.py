"""Large files are hashed once in a process, and again once they change."""

import os
import time

import pytest

from aiev.core.hashing import CACHED_BYTES, SETTLED_NS, of_file, of_path


@pytest.fixture
def reads(monkeypatch):
    """How often a file is hashed."""
    import hashlib

    counted, digest = [], hashlib.file_digest

    def count(file, name):
        counted.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", count)
    return counted


def settled(path, data: bytes):
    """A file that was written some time ago, for all that the clock says."""
    path.write_bytes(data)
    return path


@pytest.fixture
def later(monkeypatch):
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 2 * SETTLED_NS)


def test_a_large_file_is_read_once(tmp_path, reads, later):
    path = settled(tmp_path / "weights", bytes(CACHED_BYTES))
    assert len({of_file(path), of_path(path), of_file(path)}) == 1 and len(reads) == 1
    os.link(path, tmp_path / "other")
    of_file(path)
    assert len(reads) == 2, "its inode changed"


def test_a_file_that_changed_is_read_again(tmp_path, reads, later):
    path = settled(tmp_path / "weights", bytes(CACHED_BYTES))
    stat, before = path.stat(), of_file(path)
    time.sleep(0.05)  # more than a tick of the file system
    path.write_bytes(b"x" + bytes(CACHED_BYTES - 1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert of_file(path) != before, "its size and the time that anybody can set are the same"


def test_what_was_written_just_now_is_not_remembered(tmp_path, reads):
    path = settled(tmp_path / "weights", bytes(CACHED_BYTES))
    assert of_file(path) == of_file(path) and len(reads) == 2


def test_a_small_file_is_read_each_time(tmp_path, reads, later):
    path = settled(tmp_path / "small", b"x")
    assert of_file(path) == of_file(path) and len(reads) == 2
