"""A packed row is exactly the rows that it is made of: no dialogue sees another."""

import pytest
import torch
from small_models import KINDS, SIZES
from transformers import AutoConfig, AutoModelForCausalLM

from aiev.training.encoding import IGNORED
from aiev.training.packing import ATTENTION, pack, register_attention
from aiev.training.worker import collate

LENGTHS = (9, 1, 14, 5)
WINDOW = 4


def dialogues(lengths=LENGTHS):
    """Random tokens, about half of them in the loss; the first too, which nothing predicts."""
    draw = torch.Generator().manual_seed(3)
    rows = []
    for length in lengths:
        tokens = torch.randint(5, 60, (length,), generator=draw)
        in_loss = torch.rand(length, generator=draw) < 0.5
        in_loss[0] = True
        rows.append({"input_ids": tokens, "labels": torch.where(in_loss, tokens, IGNORED)})
    return rows


def model_of(kind, attention, **config):
    torch.manual_seed(0)
    made = AutoConfig.for_model(kind, **SIZES, vocab_size=64, **config)
    return AutoModelForCausalLM.from_config(made, attn_implementation=attention).train()


def loss_and_gradients(model, batches):
    """Summed loss of all batches, and the gradient of each parameter."""
    losses = [model(**batch, use_cache=False, num_items_in_batch=1).loss for batch in batches]
    total = torch.stack(losses).sum()
    total.backward()
    return total.detach(), {name: each.grad for name, each in model.named_parameters()}


def assert_same(one, two):
    assert torch.allclose(one[0], two[0], rtol=1e-5, atol=1e-5)
    for name, gradient in one[1].items():
        assert torch.allclose(gradient, two[1][name], rtol=1e-5, atol=1e-5), name


@pytest.fixture(autouse=True)
def _attention():
    register_attention()


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_are_those_of_rows_of_their_own(kind):
    rows = dialogues()
    alone = loss_and_gradients(model_of(kind, "sdpa"), [collate([row], 0) for row in rows])
    assert_same(loss_and_gradients(model_of(kind, ATTENTION), [pack(rows)]), alone)


WINDOWED = {
    "qwen2": {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 0},
    "starcoder2": {"sliding_window": WINDOW},
}


@pytest.mark.parametrize("kind", WINDOWED)
def test_a_sliding_window_is_that_of_rows_of_their_own(kind):
    rows, config = dialogues(), WINDOWED[kind]
    alone = loss_and_gradients(
        model_of(kind, "eager", **config), [collate([row], 0) for row in rows]
    )
    assert_same(loss_and_gradients(model_of(kind, ATTENTION, **config), [pack(rows)]), alone)
    without = loss_and_gradients(model_of(kind, ATTENTION), [pack(rows)])
    assert not torch.allclose(without[0], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_neighbour_changes_nothing(kind):
    model = model_of(kind, ATTENTION)
    rows = dialogues()
    other = [{**rows[0], "input_ids": rows[0]["input_ids"].flip(0)}, *rows[1:]]
    with torch.no_grad():
        one, two = (
            model(**{**pack(each), "labels": None}, use_cache=False).logits[0, LENGTHS[0] :]
            for each in (rows, other)
        )
    assert torch.equal(one, two)


def test_the_first_token_of_a_dialogue_is_in_no_loss():
    packed = pack(dialogues())
    assert (packed["labels"][packed["position_ids"] == 0] == IGNORED).all()
    rows = dialogues()
    assert all(row["labels"][0] != IGNORED for row in rows), "pack must not change its rows"
    assert packed["input_ids"].shape == packed["position_ids"].shape == (1, sum(LENGTHS))
