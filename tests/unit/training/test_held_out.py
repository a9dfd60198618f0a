"""The loss on the test split: a mean over tokens, of any number of processes."""

from functools import partial

import pytest
import torch
from test_packing import dialogues, model_of

from aiev.training.encoding import IGNORED, Encoded
from aiev.training.examples import Examples, write_examples
from aiev.training.held_out import losses, mean_loss
from aiev.training.packing import ATTENTION, pack, register_attention
from aiev.training.worker import collate

PLAIN = partial(collate, padding=0)


@pytest.fixture
def examples(tmp_path):
    rows = dialogues()
    encoded = [Encoded(row["input_ids"].tolist(), row["labels"].tolist()) for row in rows]
    write_examples(tmp_path, encoded)
    return Examples(tmp_path)


def expected(model, examples):
    """From the logits, token by token."""
    lost = []
    model.requires_grad_(False)
    for number in range(len(examples)):
        batch = PLAIN([examples[number]])
        logits = model(**{**batch, "labels": None}).logits[0].log_softmax(-1)
        tokens = batch["labels"][0].tolist()
        lost += [-float(logits[at - 1, t]) for at, t in enumerate(tokens) if at and t != IGNORED]
    model.requires_grad_(True)
    return sum(lost) / len(lost)


def test_every_token_counts_the_same(examples):
    model = model_of("llama", "sdpa")
    assert mean_loss(model, examples, PLAIN) == pytest.approx(expected(model, examples), abs=1e-5)
    assert model.training, "training goes on"
    assert all(each.grad is None for each in model.parameters())


def test_packing_measures_the_same(examples):
    register_attention()
    plain, packed = model_of("qwen2", "sdpa"), model_of("qwen2", ATTENTION)
    one, two = mean_loss(plain, examples, PLAIN), mean_loss(packed, examples, pack)
    assert two == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_share_the_dialogues_and_add_up(ranks, examples, monkeypatch):
    model, shares = model_of("llama", "sdpa"), []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda sums: shares.append(sums.clone()))
    calls = [0] * ranks
    for rank in range(ranks):

        def counted(rows, rank=rank):
            calls[rank] += 1
            return PLAIN(rows)

        mean_loss(model, examples, counted, rank, ranks)
    assert len(set(calls)) == 1, "with ZeRO-3 a process would wait for the others forever"
    loss, tokens = torch.stack(shares).sum(0)
    assert float(loss / tokens) == pytest.approx(mean_loss(model, examples, PLAIN), abs=1e-6)


def test_what_a_history_holds_is_listed_by_steps():
    history = [{"step": 0, "test_loss": 2.0}, {"step": 1, "loss": 1.5}, {"step": 4, "test_loss": 1}]
    assert losses(history) == [{"step": 0, "loss": 2.0}, {"step": 4, "loss": 1}]
