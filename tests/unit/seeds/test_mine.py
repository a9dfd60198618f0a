"""Seeds: what is mined, what is refused, and that every snippet is counted."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.languages.python.functions import functions, normal_form
from aiev.seeds.mine import mine

GOOD = '''def add_up(numbers):
    """Sum of numbers."""
    total = 0
    for number in numbers:
        total += number
    return total
'''


def variant(number: int) -> str:
    return GOOD.replace("add_up", f"add_{number}").replace("= 0", f"= {number}")


def settings(*sources, **changes):
    return {
        "sources": list(sources),
        "licences": ["MIT", "BSD-3-Clause"],
        "min_lines": 5,
        "max_lines": 40,
        "self_contained": True,
        "shards": 2,
        "per_shard": None,
        **changes,
    }


def directory(path: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


CODE = {"kind": "directory", "path": "code", "licence": "MIT"}
ROWS = {"kind": "jsonl", "path": "rows.jsonl", "field": "text", "licence": "MIT"}


def mine_code(tmp_path, files, **changes):
    code = directory(tmp_path / "code", files)
    shards, report = mine(settings(CODE, **changes), [code], tmp_path / "cache")
    return [seed for shard in shards for seed in shard], report


def rows_file(tmp_path, rows) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_function_becomes_a_seed_with_its_source(tmp_path):
    (seed,), report = mine_code(tmp_path, {"pkg/sums.py": "import os\n\n\n" + GOOD})
    assert seed == {
        "id": of_text(GOOD)[:16],
        "text": GOOD,
        "name": "add_up",
        "language": "python",
        "source": {"name": "code", "path": "pkg/sums.py", "licence": "MIT"},
    }
    assert report["snippets"] == {"seed": 1}


def test_a_wheel_is_read_without_being_unpacked_or_run(tmp_path):
    path = tmp_path / "more_sums-2.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("more_sums/a.py", "raise SystemExit('ran')\n" + GOOD)
        wheel.writestr("more_sums/tests/test_a.py", variant(1))
        wheel.writestr("more_sums/data.bin", b"\xff")
    source = {"kind": "wheel", "resource": "seeds-sums", "licence": "BSD-3-Clause"}
    shards, report = mine(settings(source), [path], tmp_path / "cache")
    (seed,) = [seed for shard in shards for seed in shard]
    expected = {"name": "more-sums 2.1", "path": "more_sums/a.py", "licence": "BSD-3-Clause"}
    assert seed["source"] == expected
    assert report["sources"][0]["files"] == {"read": 1, "test-file": 1}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


BODY = "    a = 1\n    b = 2\n    c = 3\n    return a + b + c\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f():\n" + BODY, ""),
        ("import functools\n@functools.cache\ndef f():\n" + BODY, ""),
        ("import math as m\ndef f():\n    x = m.pi\n" + BODY, ""),
        ("from math import pi\ndef f(x=pi):\n" + BODY, ""),
        ("def f(n):\n    a = [f(n - 1) for n in range(n)]\n" + BODY, ""),
        ("def f(n):\n    def g(y):\n        return y + n\n    n = g(n)\n" + BODY, ""),
        ("def f():\n    return 1\n", "too-short"),
        ("def f():\n" + "    x = 1\n" * 50, "too-long"),
        ("def _f():\n" + BODY, "private-name"),
        ("def __getattr__(name):\n" + BODY, "private-name"),
        ("def test_f():\n" + BODY, "test"),
        ("async def f():\n" + BODY, "async"),
        ("import typing\n@typing.overload\ndef f():\n" + BODY, "overload-or-abstract"),
        (
            "from abc import abstractmethod\n@abstractmethod\ndef f():\n" + BODY,
            "overload-or-abstract",
        ),
        ('def f():\n    """Long.\n\n\n\n    """\n    ...\n', "no-body"),
        ('def f():\n    """Long.\n\n\n\n    """\n    raise NotImplementedError("x")\n', "no-body"),
        ("def f():\n    import a\n    import b\n    import c\n    return a\n", "mostly-imports"),
        ("LIMIT = 3\ndef f():\n    x = LIMIT\n" + BODY, "needs-module"),
        ("from .other import help\ndef f():\n    x = helper()\n" + BODY, "needs-module"),
        ("import numpy\ndef f():\n    x = numpy.pi\n" + BODY, "needs-module"),
        ("LIMIT = 3\ndef f(x=LIMIT):\n" + BODY, "needs-module"),
        ("LIMIT = 3\ndef f():\n    g = lambda: LIMIT\n" + BODY, "needs-module"),
        ("def f():\n    global count\n    count = 1\n    x = count\n" + BODY, "needs-module"),
    ],
)
def test_which_functions_are_taken(source, reason):
    (found,) = functions(source, min_lines=5, max_lines=40, self_contained=True)
    assert found.reason == reason


def test_lines_are_counted_from_the_decorator_and_limits_are_inclusive():
    source = "@staticmethod\ndef f():\n" + BODY
    (found,) = functions(source, min_lines=6, max_lines=6, self_contained=True)
    assert (found.reason, found.text) == ("", source)


def test_methods_and_nested_functions_are_no_seeds_of_their_own():
    indented = "".join("    " + line + "\n" for line in GOOD.splitlines())
    assert list(functions("class A:\n" + indented, 5, 40, True)) == []


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_do_not_matter(ending):
    (found,) = functions(GOOD.replace("\n", ending), 5, 40, True)
    assert found.text == GOOD


def test_a_form_feed_does_not_shift_lines():
    (found,) = functions("x = 1\n\x0c\n" + GOOD, 5, 40, True)
    assert found.text == GOOD


def test_copies_are_dropped_whatever_their_comments_docstrings_and_layout(tmp_path):
    copy = GOOD.replace('"""Sum of numbers."""', '"""Other words."""  # why')
    copy = copy.replace("total = 0", "total   =   0\n")
    files = {"a.py": GOOD, "b.py": copy, "c.py": variant(7)}
    seeds, report = mine_code(tmp_path, files)
    assert sorted(seed["name"] for seed in seeds) == ["add_7", "add_up"]
    assert report["snippets"] == {"seed": 2, "duplicate": 1}


def test_copies_are_found_across_sources(tmp_path):
    code = directory(tmp_path / "code", {"a.py": GOOD})
    rows = rows_file(tmp_path, [{"text": "# copied\n" + GOOD}, {"text": variant(3)}])
    _, report = mine(settings(CODE, ROWS), [code, rows], tmp_path / "cache")
    assert [one["snippets"] for one in report["sources"]] == [
        {"seed": 1},
        {"duplicate": 1, "seed": 1},
    ]


def test_rows_are_taken_as_they_are(tmp_path):
    snippet = "x  =  1 # not a function, \u2028 and not long\n"
    rows = rows_file(tmp_path, [{"text": snippet}, {"text": " \n"}, {"text": "if broken("}])
    shards, report = mine(settings(ROWS, shards=1), [rows], tmp_path / "cache")
    assert {seed["text"] for seed in shards[0]} == {snippet, "if broken("}
    assert report["snippets"] == {"seed": 2, "empty-row": 1}


def test_a_hub_data_set_is_loaded_by_the_real_library(tmp_path):
    data = directory(
        tmp_path / "data",
        {"train.jsonl": "\n".join(json.dumps({"code": variant(n)}) for n in (1, 2))},
    )
    source = {"kind": "hub", "dataset": str(data), "revision": "0" * 40, "split": "train"}
    source |= {"field": "code", "licence": "MIT"}
    shards, report = mine(settings(source, shards=1), [data], tmp_path / "cache")
    assert {seed["name"] for seed in shards[0]} == {"add_1", "add_2"}
    assert report["seeds"] == 2
    assert str(tmp_path) not in json.dumps([shards, report])


def test_a_hub_split_or_data_set_that_is_not_there_is_a_clear_error(tmp_path):
    data = directory(tmp_path / "data", {"train.jsonl": json.dumps({"code": GOOD})})
    source = {"kind": "hub", "field": "code", "licence": "MIT"}
    for changes, paths in (
        ({"dataset": str(data), "split": "absent"}, [data]),
        ({"dataset": "./none", "split": "a", "revision": "0" * 40}, []),
    ):
        with pytest.raises(UserError, match="cannot load the data set"):
            mine(settings({**source, **changes}), paths, tmp_path / "cache")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": null}', "no-text"),
        (b'{"text": 3}', "no-text"),
        (b'{"other": "x"}', "no-text"),
        (b'{"text": "  "}', "empty-row"),
        (rb'{"text": "half of a pair: \ud83d"}', "not-unicode"),
        (b"null", "not-an-object"),
        (b"true", "not-an-object"),
        (b"NaN", "not-an-object"),
        (b'["x"]', "not-an-object"),
        (b'"x"', "not-an-object"),
        (b'{"text": ', "not-json"),
        (b'{"text": "\xe9"}', "not-json"),
        (b'{"text": "x"} {"text": "y"}', "not-json"),
        (b'{"text": "a\x00b"}', "not-json"),
        (b"{'text': 'x'}", "not-json"),
        (b'{"text": 1' + b"0" * 5000 + b"}", "not-json"),
        (b'{"text": ["def f(): pass"]}', "no-text"),
        (b'{"text": ""}', "empty-row"),
        (rb'{"text": "\ufeff \n"}', "empty-row"),
        (b"[" * 100_000, "not-json"),
    ],
)
def test_a_bad_row_is_counted_and_the_others_are_used(tmp_path, line, reason):
    rows = rows_file(tmp_path, [{"text": GOOD}, {"text": variant(1)}])
    good = rows.read_bytes().splitlines()
    rows.write_bytes(b"\xef\xbb\xbf" + good[0] + b"\n\n" + line + b"\r\n" + good[1])
    _, report = mine(settings(ROWS), [rows], tmp_path / "cache")
    assert report["snippets"] == {"seed": 2, reason: 1}


def test_rows_of_files_with_a_bom_that_were_put_together(tmp_path):
    rows = tmp_path / "rows.jsonl"
    bom = b"\xef\xbb\xbf"
    texts = [GOOD, "\ufeff" + variant(1), "\ufeffx = 'é'\r\n"]
    rows.write_bytes(b"".join(bom + json.dumps({"text": t}).encode() + b"\r\n" for t in texts))
    shards, report = mine(settings(ROWS, shards=1), [rows], tmp_path)
    assert {seed["text"] for seed in shards[0]} == {GOOD, variant(1), "x = 'é'\r\n"}
    assert report["snippets"] == {"seed": 3}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_read_and_its_bad_rows_are_counted(tmp_path, encoding):
    lines = [json.dumps({"text": "x = 'é'"}, ensure_ascii=False), "null", '{"text": "?"}', ""]
    data = "\ufeff".encode(encoding) + "\n".join(lines).encode(encoding)
    half = "\ud800".encode(encoding, "surrogatepass")
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(data.replace("?".encode(encoding), half))
    ((seed,),), report = mine(settings(ROWS, shards=1), [rows], tmp_path)
    assert seed["text"] == "x = 'é'"
    assert report["snippets"] == {"seed": 1, "not-an-object": 1, "not-json": 1}


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"field": "txt"}, "field"), ({"language_field": "lng"}, "language_field"),
     ({"filter": {"lng": "a"}}, "filter.lng")],
)  # fmt: skip
def test_every_mistyped_field_is_named(tmp_path, changes, key):
    rows = rows_file(tmp_path, [{"text": GOOD, "lang": "python"}])
    with pytest.raises(UserError, match="no row has the field") as caught:
        mine(settings({**ROWS, **changes}), [rows], tmp_path)
    assert caught.value.hint == f"correct the source's `{key}`"


def test_copies_of_prose_and_of_other_languages_are_compared_by_their_words(tmp_path):
    texts = ["sort_it # ascending", "sort_it # descending", "sort_it  #  ascending\n"]
    rows = rows_file(tmp_path, [{"text": text} for text in texts])
    _, report = mine(settings({**ROWS, "language": "text"}, shards=1), [rows], tmp_path)
    assert report["snippets"] == {"seed": 2, "duplicate": 1}


def test_a_field_that_no_row_has_is_a_mistake_of_the_config(tmp_path):
    rows = rows_file(tmp_path, [{"code": GOOD}, {"code": GOOD, "id": 1}])
    with pytest.raises(UserError, match=r"no row has the field 'text'; .* \['code', 'id'\]"):
        mine(settings(ROWS), [rows], tmp_path / "cache")


def test_seeds_keep_the_kind_of_their_text(tmp_path):
    rows = rows_file(
        tmp_path,
        [
            {"text": "int main() { return 0; }", "lang": "CPP"},
            {"text": GOOD, "lang": "python"},
            {"text": "Write a function that sorts.", "lang": None},
        ],
    )
    source = {**ROWS, "language": "text", "language_field": "lang"}
    shards, report = mine(settings(source, shards=1), [rows], tmp_path / "cache")
    found = {seed["text"]: seed["language"] for seed in shards[0]}
    assert found == {
        "int main() { return 0; }": "cpp",
        GOOD: "python",
        "Write a function that sorts.": "text",
    }
    assert report["languages"] == {"cpp": 1, "python": 1, "text": 1}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"lang": "b"}, {"add_1"}),
        ({"lang": ["a", "c"]}, {"add_0", "add_2"}),
        ({"value": 1}, {"add_0"}),
        ({"value": True}, {"add_1"}),
    ],
)
def test_rows_are_chosen_by_a_column(tmp_path, wanted, names):
    values = [1, True, ["b"]]
    found = [{"text": variant(n), "lang": name, "value": values[n]} for n, name in enumerate("abc")]
    rows = rows_file(tmp_path, found)
    shards, report = mine(settings({**ROWS, "filter": wanted}, shards=1), [rows], tmp_path)
    assert {seed["name"] for seed in shards[0]} == names
    assert report["snippets"]["filtered"] == 3 - len(names)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"note.txt": "no code"}, "is empty"),
        ({"a.py": ""}, r"holds no usable snippet: {'read': 1}"),
        ({"a.py": "x = 1\n"}, "holds no usable snippet"),
        ({"a.py": "def f(:\n"}, r"holds no usable snippet: {'syntax-error': 1}"),
        ({"bad.py": b"s = '\xe9'\n"}, r"holds no usable snippet: {'encoding-error': 1}"),
    ],
)
def test_a_useless_directory_is_a_clear_error(tmp_path, files, said):
    with pytest.raises(UserError, match=said) as caught:
        mine_code(tmp_path, files)
    assert "code" in caught.value.where


def test_a_missing_or_empty_or_broken_file_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        mine(settings(CODE), [tmp_path / "absent"], tmp_path)
    with pytest.raises(UserError, match="is empty"):
        mine(settings(ROWS), [rows_file(tmp_path, [])], tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(UserError, match=r"holds no usable snippet: {'not-json': 1}"):
        mine(settings(ROWS), [tmp_path / "rows.jsonl"], tmp_path)
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"PK nonsense")
    wheel = {"kind": "wheel", "resource": "a", "licence": "MIT"}
    with pytest.raises(UserError, match="not a wheel"):
        mine(settings(wheel), [tmp_path / "a-1-py3-none-any.whl"], tmp_path)
    for name in ("mine.whl", "my-code.whl"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a.py", GOOD)
        with pytest.raises(UserError, match="not the name of a wheel"):
            mine(settings(wheel), [tmp_path / name], tmp_path)
    with pytest.raises(UserError, match="no seed source"):
        mine(settings(), [], tmp_path)


def test_a_licence_that_is_not_allowed_stops_before_anything_is_read(tmp_path):
    source = {**CODE, "licence": "GPL-3.0-only"}
    with pytest.raises(UserError, match="which is not allowed"):
        mine(settings(source), [tmp_path / "absent"], tmp_path)


@pytest.mark.parametrize("bad", ["def f(:\n", "x = '\0'\n", "(" * 5000, "-" * 100_000 + "1"])
def test_a_file_that_does_not_parse_is_counted(tmp_path, bad):
    seeds, report = mine_code(tmp_path, {"bad.py": bad, "good.py": GOOD})
    assert len(seeds) == 1
    assert report["sources"][0]["files"] == {"syntax-error": 1, "read": 1}


def test_hidden_directories_and_test_files_are_left_out(tmp_path):
    names = ["a.py", ".git/b.py", "tests/c.py", "test_d.py", "e_test.py", "conftest.py"]
    files = {name: variant(n) for n, name in enumerate(names)}
    seeds, report = mine_code(tmp_path, files)
    assert [seed["name"] for seed in seeds] == ["add_0"]
    assert report["sources"][0]["files"] == {"read": 1, "test-file": 4}


def test_one_changed_seed_changes_one_shard_and_moving_changes_none(tmp_path):
    before = [variant(n) for n in range(40)]
    after = ["# moved down\n\n" + before[0], *before[1:20], before[20] + "\n", *before[21:]]
    source = settings(CODE, shards=8)
    first = directory(tmp_path / "1" / "code", {"a.py": "\n".join(before)})
    second = directory(tmp_path / "2" / "code", {"a.py": "\n".join(after)})
    shards, _ = mine(source, [first], tmp_path)
    assert mine(source, [second], tmp_path)[0] == shards
    new = "\n".join([*before[:-1], before[-1].replace("total += number", "total -= number")])
    third = directory(tmp_path / "3" / "code", {"a.py": new})
    changed = [a != b for a, b in zip(shards, mine(source, [third], tmp_path)[0], strict=True)]
    assert 1 <= sum(changed) <= 2  # where it was, and where it is now


@limits(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.one_of(st.none(), st.integers(0, 6)), st.integers(1, 25))
def test_shards_are_disjoint_sorted_and_add_up(tmp_path_factory, shards, per_shard, count):
    folder = tmp_path_factory.mktemp("seeds")
    code = directory(folder / "code", {"a.py": "\n".join(variant(n) for n in range(count))})
    chosen = settings(CODE, shards=shards, per_shard=per_shard)
    found, report = mine(chosen, [code], folder)
    assert len(found) == shards
    every, _ = mine({**chosen, "per_shard": None}, [code], folder)
    for number, (shard, whole) in enumerate(zip(found, every, strict=True)):
        digests = [of_text(seed["text"]) for seed in shard]
        assert digests == sorted(digests)
        assert all(int(digest, 16) % shards == number for digest in digests)
        assert shard == whole[:per_shard]
    assert sum(len(shard) for shard in every) == count
    assert sum(report["snippets"].values()) == count
    assert report["seeds"] == report["snippets"].get("seed", 0) == sum(map(len, found))


@given(st.text(max_size=60))
def test_no_text_breaks_the_miner(text):
    assert normal_form(text) == normal_form(text)
    try:
        found = list(functions(text, 1, 40, True))
    except (SyntaxError, ValueError):
        return
    assert all(function.text for function in found)
