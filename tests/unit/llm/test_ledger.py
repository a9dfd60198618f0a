"""The ledger: what is on record is found, what is damaged is not believed, writers do not clash."""

import asyncio
import copy
import errno
import gzip
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.llm.ledger import LOCKS, Answer, Ledger, canonical_digest, key_of, keys_of

REQUEST = {
    "kind": "openai",
    "model": "m",
    "digest": "1",
    "messages": [{"role": "user", "content": "Hello"}],
    "temperature": 0.5,
    "top_p": 1.0,
    "max_tokens": 5,
    "seed": 1,
}
ANSWER = Answer("Good day", "stop", 3, 2)
TEXT = st.text(st.characters(codec=None), max_size=20)  # lone surrogates and control characters too
REQUESTS = st.fixed_dictionaries(
    {
        "model": TEXT,
        "messages": st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3),
        "temperature": st.floats(0, 2),
        "seed": st.integers(0, 2**31),
    }
)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def test_an_answer_is_found_again_and_knows_its_key(ledger):
    assert ledger.find(REQUEST) is None
    added = ledger.add(REQUEST, ANSWER)
    assert ledger.find(REQUEST) == added
    assert added.key == key_of(REQUEST) and added.text == "Good day"
    assert ledger.path(added.key).is_file()


def test_replay_gives_what_is_on_record_and_asks_nothing(ledger):
    added = ledger.add(REQUEST, ANSWER)
    replay = Ledger(ledger.root, "replay")
    assert replay.find(REQUEST) == added
    with pytest.raises(UserError, match="no answer on record") as caught:
        replay.find({**REQUEST, "seed": 2})
    assert key_of({**REQUEST, "seed": 2}) in caught.value.where


def damage(entry: bytes, how: str) -> bytes:
    record = json.loads(entry)
    if how == "other-answer":
        record["answer"]["text"] += "!"
    elif how == "other-digest":
        record["digest"] = "0" * 64
    elif how == "other-request":
        # Sound in itself: an entry that was copied to another's place.
        record["request"]["seed"] += 1
        record["digest"] = canonical_digest([record["request"], record["answer"]])
    elif how == "other-fields":
        record["answer"] = {"words": "Good day"}
        record["digest"] = canonical_digest([record["request"], record["answer"]])
    elif how == "no-number":
        record["answer"]["prompt_tokens"] = float("nan")
    else:
        return {
            "empty": b"",
            "truncated": entry[:-9],
            "zeros": bytes(len(entry)),
            "not-utf8": b"\xff" + entry,
            "list": b"[]",
            "null": b"null",
        }[how]
    return json.dumps(record).encode()


DAMAGES = ["empty", "truncated", "zeros", "not-utf8", "list", "null", "no-number"]
DAMAGES += ["other-answer", "other-digest", "other-request", "other-fields"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_entry_is_asked_again_and_replaced(how, ledger):
    added = ledger.add(REQUEST, ANSWER)
    path = ledger.path(added.key)
    sound = path.read_bytes()
    path.write_bytes(damage(sound, how))
    assert ledger.find(REQUEST) is None
    with pytest.raises(UserError, match="damaged") as caught:
        Ledger(ledger.root, "replay").find(REQUEST)
    assert str(path) in caught.value.where
    ledger.add(REQUEST, ANSWER)
    assert path.read_bytes() == sound and ledger.find(REQUEST) == added


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE], ids=os.strerror)
@pytest.mark.parametrize("mode", ["record", "replay"])
def test_an_entry_that_cannot_be_read_is_no_damaged_one(mode, number, ledger, monkeypatch):
    """It is another user's, or the disk is away: what was paid for is not paid for again."""
    added = ledger.add(REQUEST, ANSWER)

    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(UserError, match=os.strerror(number)) as caught:
        Ledger(ledger.root, mode).find(REQUEST)
    assert caught.value.where == str(ledger.path(added.key)) and caught.value.hint
    monkeypatch.undo()
    assert ledger.find(REQUEST) == added


def write(root, requests, number):
    ledger = Ledger(root)
    for request in requests:
        found = ledger.find(request)
        assert found is None or found.text == request["messages"][0]["content"]
        ledger.add(request, Answer(request["messages"][0]["content"], "stop", number, 0))


@pytest.mark.parametrize("same", [True, False])
def test_eight_writers_at_once(same, ledger):
    """Of the same entry one writer's stands, whole; of different ones all do."""
    shares = [
        [
            {**REQUEST, "messages": [{"role": "user", "content": f"{'' if same else n} {i}" * 500}]}
            for i in range(12)
        ]
        for n in range(8)
    ]
    fork = multiprocessing.get_context("fork")
    writers = [
        fork.Process(target=write, args=(ledger.root, share, n)) for n, share in enumerate(shares)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0] * 8
    for request in (request for share in shares for request in share):
        assert ledger.find(request).text == request["messages"][0]["content"]
    files = [path for path in ledger.root.rglob("*") if path.is_file()]
    assert len(files) == (12 if same else 96), "nothing half-written is left"


@given(request=REQUESTS, text=TEXT)
def test_any_text_is_found_again_as_it_was(request, text, tmp_path_factory):
    ledger = Ledger(tmp_path_factory.getbasetemp() / "hostile")
    added = ledger.add(request, Answer(text, "stop", 1, 1))
    found = ledger.find(request)
    assert found == added and found.text == text
    ledger.path(added.key).read_text("utf-8")


@given(request=REQUESTS, data=st.data())
def test_the_order_of_keys_does_not_matter(request, data):
    order = data.draw(st.permutations(list(request)))
    shuffled = {name: request[name] for name in order}
    shuffled["messages"] = [dict(reversed(message.items())) for message in request["messages"]]
    assert key_of(shuffled) == key_of(request)


@given(request=REQUESTS, other=REQUESTS)
def test_any_changed_field_changes_the_key(request, other):
    for name in request:
        changed = {**copy.deepcopy(request), name: other[name]}
        assert (key_of(changed) == key_of(request)) == (changed == request)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"repetition_penalty": 1}, {"repetition_penalty": 1.0}),
        ({"options": {"penalties": [2, 0]}}, {"options": {"penalties": [2.0, 0.0]}}),
        ({"temperature": 1}, {"temperature": 1.0}),
    ],
)
def test_a_number_has_one_key_however_the_config_spells_it(one, other, ledger):
    assert key_of({**REQUEST, **one}) == key_of({**REQUEST, **other})
    added = ledger.add({**REQUEST, **one}, ANSWER)
    assert Ledger(ledger.root, "replay").find({**REQUEST, **other}) == added
    assert key_of({**REQUEST, "seed": True}) != key_of(REQUEST), "true is no number"


def test_an_entry_whose_key_is_that_of_an_earlier_version_is_found_where_it_lies(ledger):
    """That version took a number as the config spelled it."""
    request = {**REQUEST, "temperature": 1, "repetition_penalty": 1.0}
    key = canonical_digest({**request, "temperature": 1.0})
    added = ledger.add(request, ANSWER)
    assert key != added.key
    ledger.path(key).parent.mkdir()
    ledger.path(added.key).rename(ledger.path(key))
    found = Ledger(ledger.root, "replay").find(request)
    assert found == replace(added, key=key) and ledger.key(request) == key
    assert ledger.place(request) == str(ledger.path(key))
    assert ledger.find({**request, "repetition_penalty": 1.1}) is None


def test_keys_do_not_change_between_versions():
    """A digest that was computed once, and all answers that the project ships."""
    assert key_of(REQUEST) == "32e5871bfaaa332446958b2a2d762ba89dc5ddebd62b0f8b37df053ea3b16b39"
    for path in (Path(__file__).parents[2] / "answers").glob("*.jsonl.gz"):
        lines = gzip.decompress(path.read_bytes()).splitlines()
        requests = [json.loads(line)["request"] for line in lines]
        assert len(requests) > 100
        assert [r for r in requests if len({*keys_of(r)}) > 1] == []


def test_the_order_of_messages_matters():
    two = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert key_of({**REQUEST, "messages": two}) != key_of({**REQUEST, "messages": two[::-1]})


def test_a_full_disk_is_said_and_leaves_nothing(ledger, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left") as caught:
        ledger.add(REQUEST, ANSWER)
    assert ledger.path(key_of(REQUEST)).name in caught.value.where
    monkeypatch.undo()
    assert not [path for path in ledger.root.rglob("*") if path.is_file()]
    assert ledger.find(REQUEST) is None


def test_the_next_lock_of_a_killed_process_removes_its_half_written_entries(tmp_path):
    ledger, key, other = Ledger(tmp_path), "ab" * 32, "ab" + "cd" * 31
    left = [tmp_path / "ab" / f".{name}.json.{pid}.part" for name in (key, other) for pid in (1, 2)]
    left[0].parent.mkdir()
    for beside in left:
        beside.write_text("half an ent")

    async def ask():
        async with ledger.lock(key):
            pass

    asyncio.run(ask())
    assert all(map(Path.exists, left)), "without a mark nobody was killed"
    (tmp_path / LOCKS / key).touch()
    asyncio.run(ask())
    assert [beside.exists() for beside in left] == [False, False, True, True]
    assert not (tmp_path / LOCKS / key).exists()
