"""Dialogues that are too long lose middle rounds, where the config says so, and are counted."""

import pytest
from test_encoding import TOKENIZER

from aiev.dataset.layout import Step, Turn, render
from aiev.dataset.tokens import RUN_START, RUN_STOP
from aiev.training.encoding import IGNORED, encode, encode_all
from aiev.training.too_long import Counts, without_rounds

ROUNDS = 4


def dialogue(rounds=ROUNDS, layout="turns"):
    """A dialogue with so many failed attempts, as the data set tags it."""
    step = "attempt {0}{1}code {0}{2}".format
    steps = [Step(step(n, RUN_START, RUN_STOP), f"error {n}", f"remark {n}") for n in range(rounds)]
    steps.append(Step(step("last", RUN_START, RUN_STOP), "fine"))
    messages = render([Turn("problem", tuple(steps), "closing")], layout)
    return {"id": "a", "failed": [2 * n + 1 for n in range(rounds)], "messages": messages}


def size(row):
    return len(encode(TOKENIZER, row["messages"], 10_000).input_ids)


def encoded(rows, max_tokens, too_long, learn="all"):
    counts = Counts()
    return list(encode_all(TOKENIZER, rows, max_tokens, counts, learn, too_long)), counts


@pytest.mark.parametrize("layout", ["turns", "inline"])
@pytest.mark.parametrize("lost", range(ROUNDS))
def test_the_earliest_middle_rounds_go_and_roles_alternate(lost, layout):
    row = without_rounds(dialogue(layout=layout), lost)
    text = "\n".join(message["content"] for message in row["messages"])
    kept = [0, *range(1 + lost, ROUNDS)]
    for number in range(ROUNDS):
        words = (f"attempt {number}", f"error {number}", f"remark {number}")
        assert all((word in text) == (number in kept) for word in words)
    assert "attempt last" in text and text.endswith("closing")
    roles = [message["role"] for message in row["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert [row["messages"][n]["content"].split(RUN_START)[0] for n in row["failed"]] == [
        f"attempt {number}" for number in kept
    ]


@pytest.mark.parametrize("lost", range(ROUNDS))
def test_no_more_rounds_go_than_must(lost):
    short = without_rounds(dialogue(), lost)
    (found,), counts = encoded([dialogue()], size(short), "drop-middle-rounds")
    assert found == encode(TOKENIZER, short["messages"], 10_000)
    long = {"rounds": {"4": 1}, "shortened": {str(lost): 1}}
    expected = long if lost else {"rounds": {}, "shortened": {}}
    assert counts.as_json() == {"dropped": {}, "too_long": expected}


def test_what_cannot_fit_is_dropped_and_counted_by_rounds():
    rows = [dialogue(), dialogue(), dialogue(0), dialogue(1)]
    least = size(without_rounds(dialogue(), ROUNDS - 1))
    for too_long, limit in (("drop", least), ("drop-middle-rounds", least - 1)):
        found, counts = encoded(rows, limit, too_long)
        assert counts.dropped["too-long"] == 4 - len(found) and not counts.shortened
        assert counts.too_long[ROUNDS] == 2


def test_failed_attempts_of_a_shortened_dialogue_are_still_read_only():
    limit = size(without_rounds(dialogue(), 2))
    (found,), _ = encoded([dialogue()], limit, "drop-middle-rounds", "passing")
    said = TOKENIZER.decode([label for label in found.labels if label != IGNORED])
    assert "attempt last" in said and "closing" in said
    assert not any(f"attempt {number}" in said for number in range(ROUNDS))
