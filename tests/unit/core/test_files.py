"""Records that cannot be read: the file and the line are named, and no traceback."""

import pytest

from aiev.core.errors import UserError
from aiev.core.files import (
    check_folder,
    read_json,
    read_jsonl,
    read_text,
    write_json,
    write_text,
)

DEEP = "[" * 100_000


def test_json_nested_too_deep_is_a_mistake_in_the_file(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text(DEEP)
    with pytest.raises(UserError, match="nested too deep") as caught:
        read_json(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("line", [DEEP, "{"], ids=["deep", "half"])
def test_the_line_that_cannot_be_read_is_named(line, tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text(f"{{}}\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_jsonl(path)
    assert caught.value.where == f"{path}, line 2"


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as caught:
        write_text(tmp_path / "file" / "deep" / "a.txt", "text")
    assert str(tmp_path / "file") in caught.value.where
    assert "move it away" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "hint"),
    [("gone", "check the path"), (".", "name a file"), ("file/a", "a part of it is a file")],
)
def test_what_to_do_about_a_file_that_cannot_be_read(path, hint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot read") as caught:
        read_text(tmp_path / path)
    assert hint in caught.value.hint


def test_what_to_do_about_a_file_that_is_not_json(tmp_path):
    (tmp_path / "half").write_text("{")
    for read in (read_json, read_jsonl):
        with pytest.raises(UserError, match="not JSON") as caught:
            read(tmp_path / "half")
        assert caught.value.hint.startswith("correct the ")


def test_half_a_character_is_written_as_an_escape(tmp_path):
    """Models write such; a file of UTF-8 cannot hold it."""
    path = tmp_path / "some.json"
    write_json(path, {"ä": "\ud800"})
    assert read_json(path) == {"ä": "\ud800"} and "\\ud800" in path.read_text("utf-8")
    write_json(path, {"ä": "ö"})
    assert path.read_text("utf-8") == '{\n  "ä": "ö"\n}\n'


def test_a_folder_is_tried_before_the_work(tmp_path):
    check_folder(tmp_path / "deep" / "own")
    assert list((tmp_path / "deep" / "own").iterdir()) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "deep", "/proc/self/own"):
        with pytest.raises(UserError, match="cannot write") as caught:
            check_folder(path)
        assert caught.value.where == str(path)
