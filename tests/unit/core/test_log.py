"""Progress as lines, where there is no terminal."""

import logging

import pytest

from aiev.core.log import Progress, log, start_log


@pytest.fixture(autouse=True)
def as_before():
    kept, propagates = log.handlers[:], log.propagate
    log.handlers.clear()  # those of a test before, which would show the lines themselves
    yield
    log.handlers[:], log.propagate = kept, propagates
    log.setLevel(logging.NOTSET)


@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_line_is_shown_once(in_a_file, tmp_path, capsys):
    start_log(tmp_path / "x.log" if in_a_file else None)
    with Progress("unpack", 2, "byte") as progress:
        progress.step(count=2)
    shown = capsys.readouterr().err
    assert shown.count("unpack: 2 of 2, ") == 1
    assert not in_a_file or (tmp_path / "x.log").read_text().count("unpack: 2 of 2") == 1


def test_what_has_not_begun_has_no_speed(capsys):
    with Progress("fetch", 9, "MiB"):
        pass
    assert capsys.readouterr().err == "fetch: 0 of 9, no estimate yet\n"
