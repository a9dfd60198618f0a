"""A file of dialogues is encoded by several processes, with the bytes and counts of one."""

import os
import signal
from concurrent.futures.process import BrokenProcessPool

import pytest
from test_encoding import TOKENIZER, make_tokenizer
from test_too_long import dialogue, size

from aiev.core.errors import UserError
from aiev.core.files import write_jsonl
from aiev.training import encoded_file
from aiev.training.encoded_file import encode_file

LONGEST = size(dialogue(rounds=4)) - 1
PARAMS = {"max_tokens": LONGEST, "learn": "all", "too_long": "drop-middle-rounds"}


@pytest.fixture
def data(tmp_path):
    """Dialogues that are kept whole, kept without some rounds, and dropped for two reasons."""
    rows = [dialogue(rounds=number % 5) for number in range(23)]
    for number, row in enumerate(rows):
        row["messages"][0]["content"] += f" {number}" * (200 if number % 7 == 6 else 1)
    rows[4]["messages"][0]["content"] += "<|im_end|>"
    write_jsonl(tmp_path / "tagged.jsonl", rows)
    return tmp_path / "tagged.jsonl"


@pytest.fixture
def processors(monkeypatch):
    """`processors(n)`: so many may be used, each for three dialogues at a time."""
    monkeypatch.setattr(encoded_file, "CHUNK", 3)

    def use(number):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(number)))

    return use


def test_four_processes_write_what_one_writes(data, tmp_path, processors):
    written = []
    for number in (1, 4):
        processors(number)
        folder = tmp_path / str(number)
        counts = encode_file(TOKENIZER, data, PARAMS, folder)
        assert list(counts["dropped"]) == ["control-token-in-text", "too-long"]
        assert counts["too_long"]["shortened"] and 10 < counts["examples"] < 23
        written.append((counts, {path.name: path.read_bytes() for path in folder.iterdir()}))
    assert written[0] == written[1]


def test_a_process_that_is_killed_ends_the_training(data, tmp_path, processors, monkeypatch):
    """As by the kernel, where memory is short: nothing waits for it."""
    own = os.getpid()

    def killed(*_):
        assert os.getpid() != own, "this is not the process that encodes"
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(encoded_file, "encode_all", killed)
    processors(4)
    with pytest.raises(BrokenProcessPool):
        encode_file(TOKENIZER, data, PARAMS, tmp_path / "out")


def test_an_error_of_one_of_them_is_the_user_s(data, tmp_path, processors):
    processors(4)
    with pytest.raises(UserError, match="lacks") as caught:
        encode_file(make_tokenizer(tags=False), data, PARAMS, tmp_path / "out")
    assert caught.value.hint
