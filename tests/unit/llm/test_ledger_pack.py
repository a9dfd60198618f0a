"""The packed ledger: the same bytes from the same entries, and nothing believed that is damaged."""

import gzip
import json
import multiprocessing
import os
import random
from pathlib import Path

import pytest
from command import aiev

from aiev.core.errors import UserError
from aiev.core.hashing import of_bytes, of_json
from aiev.core.log import Progress
from aiev.llm import ledger_pack as ledgerpack
from aiev.llm.ledger import Answer, Ledger, canonical_digest
from aiev.llm.ledger_pack import pack, unpack

TEXTS = ["Good day", "", "zwei\nZeilen\r\n", "\u2028 and \x85", "\ud800 alone", "\x00", "é😀" * 99]


def request(number: int) -> dict:
    messages = [{"role": "user", "content": f"{TEXTS[number % len(TEXTS)]} {number}"}]
    return {"model": "m", "messages": messages, "temperature": 0.5, "seed": number}


def fill(ledger: Ledger, numbers) -> Ledger:
    for n in numbers:
        ledger.add(request(n), Answer(TEXTS[n % len(TEXTS)], "stop", n, 1))
    return ledger


def content(ledger: Ledger) -> dict[str, bytes]:
    paths = [path for path in ledger.root.rglob("*") if path.is_file()]
    return {path.relative_to(ledger.root).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def ledger(tmp_path):
    return fill(Ledger(tmp_path / "ledger"), range(40))


@pytest.fixture
def packed(ledger, tmp_path):
    pack(ledger.root, tmp_path / "pack.jsonl.gz")
    return tmp_path / "pack.jsonl.gz"


@pytest.fixture
def other(tmp_path):
    return Ledger(tmp_path / "other")


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    return path


def test_an_entry_of_an_earlier_version_is_packed_and_found_behind_its_key(ledger, other, tmp_path):
    """That version's key of 1.0 was another one than that of 1."""
    question = {**request(99), "repetition_penalty": 1.0}
    added = ledger.add(question, Answer("yes", "stop", 1, 1))
    older = ledger.path(canonical_digest(question))
    older.parent.mkdir(exist_ok=True)
    ledger.path(added.key).rename(older)
    assert pack(ledger.root, tmp_path / "pack")[0] == 41
    assert unpack(tmp_path / "pack", other)["added"] == 41
    assert other.find({**question, "repetition_penalty": 1}) == added
    assert unpack(tmp_path / "pack", ledger)["different"] == 0


def test_there_and_back(ledger, packed, other):
    assert unpack(packed, other) == {"added": 40, "same": 0, "different": 0, "repaired": 0}
    assert content(other) == content(ledger)
    assert other.find(request(3)) == ledger.find(request(3))
    assert unpack(packed, other) == {"added": 0, "same": 40, "different": 0, "repaired": 0}
    assert content(other) == content(ledger), "and nothing half-written is left"


def test_equal_entries_make_equal_bytes(ledger, packed, other, tmp_path):
    """Whatever the order and the times in which they came, and whatever lies beside them."""
    numbers = list(range(40))
    random.Random(1).shuffle(numbers)
    fill(other, numbers)
    for name in content(other):
        os.utime(other.root / name, (numbers[3], numbers[3]))
    folder = next(folder for folder in other.root.iterdir())
    (folder / ".half.json.1.part").write_text("{")
    (other.root / "spending.jsonl").write_text("{}\n")
    (other.root / "00extra").mkdir()
    again = tmp_path / "another name.gz"
    count, digest = pack(other.root, again)
    assert again.read_bytes() == packed.read_bytes()
    lines = gzip.decompress(packed.read_bytes())
    assert (count, digest) == (40, of_bytes(lines)) and lines.count(b"\n") == 40


def test_a_pack_names_nothing_of_this_machine(packed):
    assert packed.read_bytes()[3:8] == bytes(5), "neither a name nor a time in the header"


def test_the_printed_number_is_that_of_the_file_though_a_run_adds_answers(
    ledger, tmp_path, monkeypatch
):
    """One comes right after the entries were counted."""
    begin = Progress.__enter__

    def one_more(progress):
        fill(ledger, [40])
        return begin(progress)

    monkeypatch.setattr(Progress, "__enter__", one_more)
    count, _ = pack(ledger.root, tmp_path / "pack.gz")
    assert count == gzip.decompress((tmp_path / "pack.gz").read_bytes()).count(b"\n") == 41


def test_an_empty_ledger(tmp_path):
    with pytest.raises(UserError, match="no ledger entry"):
        pack(tmp_path, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_ledger_with_damaged_entries_is_not_packed(ledger, tmp_path):
    first, second = (ledger.path(of_json(request(n))) for n in (1, 2))
    first.write_bytes(first.read_bytes()[:-9])
    second.write_bytes(ledger.path(of_json(request(3))).read_bytes())
    with pytest.raises(UserError, match="damaged") as caught:
        pack(ledger.root, tmp_path / "pack.gz")
    assert str(first) in str(caught.value) and str(second) in str(caught.value)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_full_disk(ledger, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        pack(ledger.root, tmp_path / "pack.gz")
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_truncated_pack(share, packed, ledger, other):
    data = packed.read_bytes()
    packed.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"damaged or cut off|packed ledger is empty") as caught:
        unpack(packed, other)
    assert str(packed) in caught.value.where
    assert content(other).items() <= content(ledger).items(), "what is in is whole"


def test_flipped_bytes(packed, ledger, other):
    """Anywhere in the file: an error, or no harm done; never another answer."""
    data, right = packed.read_bytes(), content(ledger)
    for place in random.Random(2).sample(range(len(data)), 60):
        packed.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            unpack(packed, other)
        except UserError as error:
            assert str(packed) in error.where
    assert content(other).items() <= right.items()


def hostile_lines() -> dict[str, bytes]:
    good = {"request": request(1), "answer": {"text": "t", "finish_reason": "stop"}}
    good["answer"] |= {"prompt_tokens": 1, "completion_tokens": 1}

    def entry(**fields) -> bytes:
        made = {**good, **fields}
        made.setdefault("digest", of_json([made["request"], made["answer"]]))
        return json.dumps(made).encode()

    return {
        "nothing": b"",
        "not-json": b"{",
        "list": b"[]",
        "text": b'"../../etc/passwd"',
        "nan": b'{"request": NaN, "answer": NaN, "digest": ""}',
        "deep": b"[" * 100_000,
        "long-number": b"9" * 10_000,
        "not-utf8": b"\xff\xfe",
        "other-digest": entry(digest="0" * 64),
        "request-no-object": entry(request="../../x"),
        "text-no-text": entry(answer={**good["answer"], "text": 5}),
        "count-no-count": entry(answer={**good["answer"], "prompt_tokens": "many"}),
        "another-field": entry(answer={**good["answer"], "more": 1}),
        "its-own-key": entry(answer={**good["answer"], "key": "../../x"}),
    }


@pytest.mark.parametrize("how", hostile_lines())
def test_a_hostile_line_is_left_out_and_named(how, tmp_path, other):
    """The sound entries before and after it are in place."""
    sound = gzip.decompress(pack_of(tmp_path, [5, 6]).read_bytes()).splitlines()
    file = write(tmp_path / "hostile.gz", [sound[0], hostile_lines()[how], sound[1]])
    with pytest.raises(UserError, match="line 2 ") as caught:
        unpack(file, other)
    assert "2 others are in the ledger" in caught.value.hint and len(content(other)) == 2
    assert len(list(tmp_path.iterdir())) == 4, "nothing lies outside of the ledger"


def pack_of(tmp_path: Path, numbers) -> Path:
    ledger = fill(Ledger(tmp_path / "made"), numbers)
    pack(ledger.root, tmp_path / "made.gz")
    return tmp_path / "made.gz"


def test_what_an_entry_should_not_have_is_not_taken_over(tmp_path, other):
    line = gzip.decompress(pack_of(tmp_path, [5]).read_bytes())
    entry = {**json.loads(line), "more": "x" * 100}
    unpack(write(tmp_path / "more.gz", [json.dumps(entry).encode()]), other)
    (data,) = content(other).values()
    assert data == line


def test_a_bomb_of_one_line(tmp_path, other, monkeypatch):
    monkeypatch.setattr(ledgerpack, "MAX_LINE_BYTES", 2**20)
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range(64):
            file.write(bytes(2**20))
    assert bomb.stat().st_size < 2**17
    with pytest.raises(UserError, match="a line of more than 1048576 bytes"):
        unpack(bomb, other)


def test_a_bomb_of_many_lines(tmp_path, other):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"\n" * 10_000_000))
    with pytest.raises(UserError, match="and 996 more") as caught:
        unpack(bomb, other)
    assert len(str(caught.value)) < 1000


def test_other_answers_to_the_same_question_stay(packed, other):
    mine = other.add(request(1), Answer("mine", "stop", 1, 1))
    counts = unpack(packed, other)
    assert counts == {"added": 39, "same": 0, "different": 1, "repaired": 0}
    assert other.find(request(1)) == mine


def test_a_damaged_entry_is_repaired(packed, ledger):
    right = content(ledger)
    path = ledger.path(of_json(request(1)))
    path.write_bytes(path.read_bytes()[:-3])
    assert unpack(packed, ledger) == {"added": 0, "same": 39, "different": 0, "repaired": 1}
    assert content(ledger) == right


@pytest.mark.parametrize("kind", ["missing", "directory", "no-gzip"])
def test_what_is_no_pack(kind, tmp_path, other):
    source = tmp_path / "source"
    if kind == "directory":
        source.mkdir()
    elif kind == "no-gzip":
        source.write_text("hello")
    with pytest.raises(UserError) as caught:
        unpack(source, other)
    assert str(source) in caught.value.where and not other.root.exists()


@pytest.mark.parametrize("what", ["ledger", "folder"])
def test_what_is_no_ledger_to_unpack_into(what, packed, other):
    """A file where a directory should be."""
    place = other.root if what == "ledger" else other.path(of_json(request(1))).parent
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("a file")
    with pytest.raises(UserError, match="Not a directory") as caught:
        unpack(packed, other)
    assert str(place) in caught.value.where and caught.value.hint
    assert place.read_text() == "a file"


def test_an_entry_that_cannot_be_read_is_named_and_stays(packed, other, monkeypatch):
    mine = other.add(request(1), Answer("mine", "stop", 1, 1))
    path, read = other.path(mine.key), Path.read_bytes

    def closed(asked):
        if asked == path:
            raise PermissionError(13, "Permission denied", str(path))
        return read(asked)

    with monkeypatch.context() as patched, pytest.raises(UserError, match="denied") as caught:
        patched.setattr(Path, "read_bytes", closed)
        unpack(packed, other)
    assert caught.value.where == str(path) and other.find(request(1)) == mine


def test_eight_writers_at_once(ledger, packed, other):
    """Some unpack, some add the same entries, and one packs what is there meanwhile."""
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=unpack, args=(packed, other)) for _ in range(4)]
    writers += [fork.Process(target=fill, args=(other, range(40))) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    assert content(other) == content(ledger)


def test_the_command(ledger, tmp_path):
    file, other = tmp_path / "p.jsonl.gz", tmp_path / "other"
    done = aiev("ledger", "pack", file, "--ledger", ledger.root)
    assert done.returncode == 0 and "40 entries, contents sha256 " in done.stdout
    Ledger(other).add(request(1), Answer("mine", "stop", 1, 1))
    done = aiev("ledger", "unpack", file, "--ledger", other)
    assert done.returncode == 0 and "39 added, 0 same, 1 different" in done.stdout
    assert "those that the ledger already had were kept" in done.stdout
    file.write_bytes(file.read_bytes()[:-50])
    done = aiev("ledger", "unpack", file, "--ledger", other)
    assert done.returncode == 2 and "damaged or cut off" in done.stderr
    assert "Traceback" not in done.stderr
