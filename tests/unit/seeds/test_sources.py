"""Sources as they are found: odd encodings and names, hub data sets, and sources of users' own."""

import ast
import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import fsspec
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pydantic import ValidationError

from aiev.config.load import check_config
from aiev.core.errors import UserError
from aiev.seeds.mine import mine, paths_of
from aiev.seeds.sources import SOURCES
from aiev.seeds.sources.base import Tally, decode_python, python_functions
from aiev.seeds.watch import MAX_READ, fingerprint

LIMITS = {"min_lines": 2, "max_lines": 40, "self_contained": True}
SETTINGS = {"licences": ["MIT"], "shards": 1, "per_shard": None, **LIMITS}
CODE = {"kind": "directory", "path": "code", "licence": "MIT"}


def function(name="f", text="x"):
    return f"def {name}():\n    text = '{text}'\n    return text\n"


def mine_one(source, paths, cache):
    shards, report = mine({**SETTINGS, "sources": [source]}, paths, cache)
    return shards[0], report


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (function(text="é").encode(), "é"),
        (b"\xef\xbb\xbf" + function(text="é").encode(), "é"),
        (b"\xef\xbb\xbf# coding: utf-8\n" + function(text="é").encode(), "é"),
        (("# -*- coding: latin-1 -*-\n" + function(text="é")).encode("latin-1"), "é"),
        (("#!/usr/bin/python\n# vim: set fileencoding=cp1251 :\n" + function(text="д"))
         .encode("cp1251"), "д"),
        (("# coding=euc-jp\n" + function(text="日")).encode("euc-jp"), "日"),
        (("# coding: shift_jis\n" + function(text="表")).encode("shift_jis"), "表"),
        (("# coding: gb18030\n" + function(text="语")).encode("gb18030"), "语"),
        (("\n# -*- coding: koi8-r -*-\n" + function(text="д")).encode("koi8-r"), "д"),
        (b"# coding: mac-roman\r" + function(text="?").encode().replace(b"?", b"\x8e"), "é"),
        (("\f# coding: iso-8859-15\r\n" + function(text="€")).encode("iso-8859-15"), "€"),
        (("# coding: utf_8_sig\n" + function(text="é")).encode(), "é"),
        (("# coding: UTF-8 and more words\n" + function(text="é")).encode(), "é"),
        (("# coding: utf-7\n" + function(text="é")).encode("utf-7"), "é"),
        # In the third line, or in code, it is no cookie.
        (("\n\n# coding: latin-1\n" + function(text="é")).encode(), "é"),
        (b"#!/usr/bin/python\rx = 1 # coding: hex\r" + function(text="e").encode(), "e"),
    ],
)  # fmt: skip
def test_a_python_file_is_read_in_the_encoding_that_it_declares(data, expected):
    """Case 27. Python's own parser reads the same program from the bytes."""
    assert ast.dump(ast.parse(data)) == ast.dump(ast.parse(decode_python(data)))
    assert f"'{expected}'" in decode_python(data)
    tally, snippet = python_functions([("a.py", data)], LIMITS)
    assert tally == Tally("file", "read")
    assert snippet.text == function(text=expected)


@pytest.mark.parametrize(
    "data",
    [
        function(text="é").encode("latin-1"),
        b"# coding: no-such-codec\n" + function().encode(),
        b"# coding: hex\n" + function().encode(),
        b"# coding: rot13\n" + function().encode(),
        b"# coding: undefined\n" + function().encode(),
        b"\xef\xbb\xbf# coding: latin-1\n" + function().encode(),
        b"# coding: ascii\n" + function(text="é").encode(),
        b"x = 1\n# coding: latin-1\n" + function(text="é").encode("latin-1"),
        function(text="é").encode("utf-16"),
        b"# coding: base64\n" + function().encode(),
    ],
)
def test_a_file_that_python_cannot_decode_is_counted(data):
    """Case 27."""
    with pytest.raises((SyntaxError, ValueError)):
        ast.parse(data)
    found = list(python_functions([("a.py", data)], LIMITS))
    assert found == [Tally("file", "encoding-error")]


def test_old_files_in_a_wheel_do_not_end_the_mining(tmp_path):
    """As xlwt 1.3.0: modules under a `windows-1252` cookie, some of Python 2."""
    path = tmp_path / "old-1.0-py3-none-any.whl"
    cookie = "# -*- coding: windows-1252 -*-\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("old/names.py", (cookie + function(text="“é”")).encode("cp1252"))
        wheel.writestr("old/two.py", (cookie + "print 'é'\n").encode("cp1252"))
        wheel.writestr("old/bare.py", function(text="é").encode("cp1252"))
    source = {"kind": "wheel", "resource": "old", "licence": "MIT"}
    (seed,), report = mine_one(source, [path], tmp_path)
    assert seed["text"] == function(text="“é”")
    counts = {"read": 1, "syntax-error": 1, "encoding-error": 1}
    assert report["sources"][0]["files"] == counts


def test_a_damaged_member_of_a_wheel_is_counted(tmp_path):
    path = tmp_path / "bad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("good.py", function("good"))
        wheel.writestr("bad.py", function("bad_one"))
    path.write_bytes(path.read_bytes().replace(b"bad_one", b"bad_two"))
    (seed,), report = mine_one(
        {"kind": "wheel", "resource": "bad", "licence": "MIT"}, [path], tmp_path
    )
    assert seed["name"] == "good" and report["sources"][0]["files"]["unreadable"] == 1


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
@limits(deadline=None, max_examples=60)
def test_a_garbled_wheel_is_mined_or_refused(tmp_path_factory, changes):
    """What comes out is what was put in: a damaged function is never a seed."""
    folder = tmp_path_factory.mktemp("garbled")
    put_in = {function(f"f{len(name)}", text=name) for name in ("é.py", "{a}.py")}
    path = folder / "odd-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in ("é.py", "{a}.py"):
            wheel.writestr(name, function(f"f{len(name)}", text=name))
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    source = {"kind": "wheel", "resource": "odd", "licence": "MIT"}
    try:
        seeds, _ = mine_one(source, [path], folder)
    except UserError as error:
        assert error.where == str(path) and error.hint
    else:
        assert {seed["text"] for seed in seeds} <= put_in and seeds


def test_what_is_no_file_has_its_count_and_is_not_waited_for(tmp_path):
    code = tmp_path / "code"
    (code / "package.py").mkdir(parents=True)
    (code / "package.py" / "good.py").write_text(function())
    (code / "gone.py").symlink_to("nowhere.py")
    (code / "loop.py").symlink_to("loop.py")
    os.mkfifo(code / "pipe.py")
    (seed,), report = mine_one(CODE, [code], tmp_path)
    assert seed["source"]["path"] == "package.py/good.py"
    assert report["sources"][0]["files"] == {"read": 1, "unreadable": 3}


def test_a_source_is_called_by_its_own_name_however_its_path_is_written(tmp_path, monkeypatch):
    code = tmp_path / "{slug}"
    (code / "sub").mkdir(parents=True)
    (code / "a.py").write_text(function())
    monkeypatch.chdir(code / "sub")
    for path in ("..", "../../{slug}/", str(code)):
        _, report = mine_one({**CODE, "path": path}, paths_of({**CODE, "path": path}), tmp_path)
        assert report["sources"][0]["name"] == "{slug}"


def test_braces_and_odd_bytes_in_names_are_mined_and_watched(tmp_path):
    """Case 29."""
    code = tmp_path / "code"
    (code / "{{cookiecutter.slug}}").mkdir(parents=True)
    (code / "{{cookiecutter.slug}}" / "{name}.py").write_text(function("braces"))
    odd = Path(str(code).encode() and f"{code}/caf\udce9.py")
    odd.write_text(function("bytes_"))
    seeds, _ = mine_one(CODE, [code], tmp_path)
    paths = {seed["name"]: seed["source"]["path"] for seed in seeds}
    assert paths == {"braces": "{{cookiecutter.slug}}/{name}.py", "bytes_": "caf\\xe9.py"}
    before = fingerprint([code])
    odd.write_text(function("other"))
    assert fingerprint([code]) != before


def test_the_fingerprint_follows_content_of_small_files_and_times_of_large_ones(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_text("a")
    large.write_bytes(b"x" * (MAX_READ + 1))
    before = fingerprint([tmp_path])
    small.touch()
    (tmp_path / ".hidden").write_text("new")
    assert fingerprint([tmp_path]) == before
    large.write_bytes(b"x" * (MAX_READ + 2))
    assert fingerprint([tmp_path]) != before
    assert fingerprint([tmp_path / "absent"]) != fingerprint([small])


def hub_config(**keys):
    return SOURCES.get("hub").Config(**keys)


def test_a_data_set_on_the_hub_needs_a_commit(tmp_path):
    with pytest.raises(ValidationError, match="revision"):
        hub_config(dataset="bigcode/starcoderdata", revision="main", data_dir="python")
    with pytest.raises(ValidationError, match="needs a `revision`: the 40 hexadecimal digits"):
        hub_config(dataset="bigcode/starcoderdata")
    assert hub_config(dataset="bigcode/starcoderdata", revision="a" * 40, data_dir="python")
    assert hub_config(dataset=str(tmp_path)).revision is None


def data_set(folder, **files):
    """A data set in a directory: {name: rows}; `__` in a name is a directory's border."""
    for name, rows in files.items():
        path = folder / f"{name.replace('__', '/')}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_data_set_is_read_by_folder_by_file_in_a_stream_and_in_part(tmp_path):
    data = data_set(
        tmp_path / "data",
        python__train=[{"content": function(f"py_{n}")} for n in range(3)],
        rust__train=[{"content": "fn main() {}"}],
    )
    source = {"kind": "hub", "dataset": str(data), "field": "content", "licence": "MIT"}

    def names(**changes):
        seeds, _ = mine_one({**source, **changes}, [data], tmp_path / "cache")
        return {seed["name"] for seed in seeds}

    assert names(data_dir="python") == {"py_0", "py_1", "py_2"}
    assert names(data_files="rust/*.jsonl", language="rust") == {"snippet"}
    assert names(data_files=["python/train.jsonl"], streaming=True, max_rows=2) == {"py_0", "py_1"}
    with pytest.raises(UserError, match="cannot load the data set"):
        names(data_dir="absent")


def test_a_data_set_in_a_directory_is_an_input_of_the_job(tmp_path):
    data = data_set(tmp_path / "data", train=[{"text": function()}])
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT"}
    assert paths_of(source) == [data]
    before = fingerprint(paths_of(source))
    data_set(data, train=[{"text": function("changed")}])
    assert fingerprint(paths_of(source)) != before
    assert paths_of({**source, "dataset": "bigcode/starcoderdata"}) == []


OWN = """
from pydantic import BaseModel

from aiev.seeds.sources.base import Snippet, Tally


class Source:
    class Config(BaseModel):
        folder: str
        ending: str = ".txt"

    @staticmethod
    def inputs(config):
        from pathlib import Path

        return [Path(config["folder"])]

    @staticmethod
    def label(config, paths):
        return "notes"

    @staticmethod
    def snippets(config, paths, limits, cache):
        for path in sorted(paths[0].iterdir()):
            if path.suffix == config["ending"]:
                yield Snippet(path.read_text(), path.stem, path.name, language="text")
            else:
                yield Tally("file", "other-ending")
"""


def test_a_source_from_one_file_outside_the_package_is_mined_with(tmp_path):
    kind = tmp_path / "notes.py"
    kind.write_text(OWN)
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "one.txt").write_text("Write a sort.")
    (folder / "two.md").write_text("no")
    source = {"kind": str(kind), "folder": str(folder), "licence": "MIT"}
    (seed,), report = mine_one(source, paths_of(source), tmp_path)
    assert (seed["text"], seed["language"]) == ("Write a sort.", "text")
    assert seed["source"] == {"name": "notes", "path": "one.txt", "licence": "MIT"}
    assert report["sources"][0]["files"] == {"other-ending": 1}


def test_an_unknown_kind_is_named_with_those_there_are(tmp_path):
    with pytest.raises(UserError) as caught:
        mine_one({"kind": "gopher", "licence": "MIT"}, [], tmp_path)
    assert "directory, hub, jsonl, wheel" in caught.value.hint


EXAMPLE = Path(__file__).parents[3] / "config" / "examples" / "magicoder.yaml"
# The first rows of the data sets are as long as a page: these are of the same shape.
ROW = {"openai_fingerprint": "fp_eeff13170a", "problem": "Write it.", "solution": "```\n```"}
MAGICODER = {
    "ise-uiuc/Magicoder-OSS-Instruct-75K/data-oss_instruct-decontaminated": [
        {"lang": "python", "raw_index": 9, "index": 1, "seed": "x = sorted(y", **ROW},
        {"lang": "rust", "raw_index": 8, "index": 2, "seed": "fn main() {}", **ROW},
        {"lang": "python", "raw_index": 7, "index": 3, "seed": None, **ROW},
        {"lang": "python", "raw_index": 6, "index": 4, "seed": "\n", **ROW},
    ],
    "ise-uiuc/Magicoder-Evol-Instruct-110K/data-evol_instruct-decontaminated": [
        {"instruction": "Add a time limit to this program.", "response": "Sure."},
    ],
}


def test_the_example_of_the_magicoder_sets_is_a_part_of_a_config():
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    config = {"name": "magicoder", **example}
    check_config(config, EXAMPLE.parents[1])
    assert len({source["revision"] for source in config["seeds"]["sources"]}) == 2


def test_the_example_of_the_magicoder_sets_mines_copies_of_their_shape(tmp_path):
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))["seeds"]
    data_set(tmp_path, **{name.replace("/", "__"): rows for name, rows in MAGICODER.items()})
    paths = []
    for source in example["sources"]:
        source.update(dataset=str(tmp_path / source["dataset"]), revision=None)
        paths += paths_of(source)
    shards, report = mine({**SETTINGS, **example}, paths, tmp_path / "cache")
    found = {seed["text"]: seed["language"] for seed in shards[0]}
    assert found == {"x = sorted(y": "python", "Add a time limit to this program.": "text"}
    assert report["snippets"] == {"seed": 2, "filtered": 1, "no-text": 1, "empty-row": 1}


GOOD = json.dumps({"text": function("good")}) + "\n"
OTHER = json.dumps({"text": function("other")}) + "\n"


def csv_of(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in ("text,number", *rows)).encode()


def parquet(rows: list[dict]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("files", "lost"),
    [
        ({"a.jsonl": f"{GOOD}null\n{OTHER}"}, "not-an-object"),
        ({"a.jsonl": f"null\n{GOOD}{OTHER}"}, "not-an-object"),
        ({"a.json": f"[null, {GOOD}, {OTHER}]"}, "not-an-object"),
        ({"a.jsonl": f"{GOOD}{{'text': 1\n{OTHER}"}, "not-json"),
        ({"a.jsonl": f"{GOOD}[1]\n{OTHER}"}, "not-an-object"),
        ({"a.json": f"{GOOD}[1]\n{OTHER}"}, "not-an-object"),
        ({"a.jsonl": f'{GOOD}{{"text": "\\ud800"}}\n{OTHER}'}, "not-unicode"),
        ({"a.jsonl": GOOD.encode() + b'{"text": "\xff"}\n' + OTHER.encode()}, "not-json"),
        ({"a.jsonl.gz": gzip.compress(f"{GOOD}]\n{OTHER}".encode())}, "not-json"),
        ({"a.csv": csv_of("good = 1,1", "y,2,3,4", "other = 1,1")}, "malformed-row"),
    ],
    ids=[
        "null",
        "null first",
        "null in an array",
        "broken",
        "list",
        "json",
        "surrogate",
        "bytes",
        "gz",
        "csv",
    ],
)
def test_a_row_that_the_library_refuses_costs_no_other(files, lost, streaming, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name, content in files.items():
        (data / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT", "streaming": streaming}
    seeds, report = mine_one(source, [data], tmp_path / "cache")
    assert len(seeds) == 2
    assert report["snippets"] == {lost: 1, "seed": 2}
    assert report["sources"][0]["files"] == {"read": 1}
    short = {**source, "max_rows": 2}
    _, report = mine_one(short, [data], tmp_path / "cache")
    assert report["snippets"] == {lost: 1, "seed": 1}


@pytest.mark.parametrize("name", ["a.jsonl", "b.json"])
def test_a_text_that_looks_like_a_date_is_a_text(name, tmp_path):
    texts = ["2020-01-01T00:00:00", "2021-01-01T00:00:00"]
    (tmp_path / "data").mkdir()
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "data" / name).write_text(rows)
    source = {"kind": "hub", "dataset": str(tmp_path / "data"), "licence": "MIT"}
    seeds, _ = mine_one(source, [tmp_path / "data"], tmp_path / "cache")
    assert sorted(seed["text"] for seed in seeds) == texts


def test_rows_before_a_refused_one_are_read_once_and_counts_of_files_are_no_rows(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_bytes(csv_of("a = 1,1", "a = 2,2"))
    (data / "b.csv").write_bytes(csv_of("b = 1,1", "b = 2,2,3,4", "b = 3,3"))
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT", "streaming": True}
    _, report = mine_one(source, [data], tmp_path / "cache")
    assert report["snippets"] == {"seed": 4, "malformed-row": 1}
    _, report = mine_one({**source, "max_rows": 3}, [data], tmp_path / "cache")
    assert report["seeds"] == 3
    rows = data_set(tmp_path / "rows", a=[{"text": "a = 1"}], b=[{"text": "b = 1"}])
    source = {"kind": "hub", "dataset": str(rows), "licence": "MIT", "max_rows": 2}
    _, report = mine_one(source, [rows], tmp_path / "cache")
    assert report["snippets"] == {"seed": 2}


CUT = gzip.compress(json.dumps({"text": os.urandom(2000).hex()}).encode())[:-900]


def test_a_compressed_file_that_is_cut_off_or_damaged_costs_no_other(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.jsonl.gz").write_bytes(CUT)
    (data / "b.jsonl.gz").write_bytes(b"no gzip")
    damaged = bytearray(gzip.compress((GOOD * 500).encode()))
    damaged[40:60] = b"\xff" * 20
    (data / "c.jsonl.gz").write_bytes(damaged)
    (data / "d.jsonl").write_text("")
    (data / "e.jsonl.gz").write_bytes(gzip.compress(OTHER.encode()))
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT"}
    seeds, report = mine_one(source, [data], tmp_path / "cache")
    assert "other" in {seed["name"] for seed in seeds}
    assert report["sources"][0]["files"] == {"read": 2, "unreadable": 3}


def test_a_file_of_rows_may_be_compressed_and_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    source = {"kind": "jsonl", "path": str(path), "licence": "MIT"}
    path.write_bytes(gzip.compress(GOOD.encode()))
    (seed,), _ = mine_one(source, [path], tmp_path)
    assert seed["name"] == "good"
    path.write_bytes(CUT)
    with pytest.raises(UserError, match=r"no usable snippet: \{'unreadable': 1\}"):
        mine_one(source, [path], tmp_path)


def test_what_is_no_file_of_rows_is_an_error_in_words(tmp_path):
    source = {"kind": "jsonl", "path": str(tmp_path), "licence": "MIT"}
    with pytest.raises(UserError, match="seed source cannot be read: Is a directory") as caught:
        mine_one(source, [tmp_path], tmp_path)
    assert caught.value.where == str(tmp_path) and caught.value.hint


def test_files_at_an_address_are_downloaded_or_streamed(tmp_path):
    there = fsspec.filesystem("memory")
    there.pipe("/far/rows.jsonl", (json.dumps({"text": function("far")}) + "\nnull\n").encode())
    (tmp_path / "data").mkdir()
    source = {"kind": "hub", "dataset": str(tmp_path / "data"), "licence": "MIT"}
    for streaming in (False, True):
        source |= {"streaming": streaming, "data_files": "memory://far/rows.jsonl"}
        (seed,), report = mine_one(source, [tmp_path / "data"], tmp_path / "cache")
        assert seed["name"] == "far" and report["snippets"] == {"seed": 1, "not-an-object": 1}
        source["data_files"] = "memory://far/absent.jsonl"
        with pytest.raises(UserError, match="cannot load the data set"):
            mine_one(source, [tmp_path / "data"], tmp_path / "cache")


def test_a_file_that_the_library_refuses_costs_no_other(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.parquet").write_bytes(parquet([{"text": function("good")}]))
    (data / "b.parquet").write_bytes(b"PAR1" + b"junk" * 9 + b"PAR1")
    (data / "c.parquet").write_bytes(parquet([{"text": function("other")}]))
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT"}
    seeds, report = mine_one(source, [data], tmp_path / "cache")
    assert sorted(seed["name"] for seed in seeds) == ["good", "other"]
    assert report["sources"][0]["files"] == {"read": 2, "unreadable": 1}
    (data / "a.parquet").unlink()
    (data / "c.parquet").unlink()
    with pytest.raises(UserError, match=r"no usable snippet: \{'unreadable': 1\}"):
        mine_one(source, [data], tmp_path / "cache")


def test_what_the_library_alone_can_read_is_an_error_with_its_words(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.arrow").write_bytes(b"junk")
    source = {"kind": "hub", "dataset": str(data), "licence": "MIT"}
    with pytest.raises(UserError, match="cannot load the data set"):
        mine_one(source, [data], tmp_path / "cache")
