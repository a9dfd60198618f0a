"""LoRA: what is trained, what is not, and the weights that are saved."""

import pytest
import torch
from small_models import KINDS, SIZES
from transformers import AutoConfig, AutoModelForCausalLM

from aiev.core.errors import UserError
from aiev.training.lora import ROWS, add_adapter, check_layers, linear_layers, merged

LORA = {"rank": 4, "alpha": 12, "dropout": 0.0, "target_modules": "all-linear"}
SCALE = 3
WORDS = 50
TOKENS = [3, 46, 47, 48, 49]
MODELS = [(kind, tied) for kind in KINDS for tied in (True, False)]


def test_layers_that_lie_the_other_way_round_are_refused():
    config = AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=2, vocab_size=WORDS)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(UserError, match="Conv1D"):
        check_layers(model, "all-linear")


def model_of(kind: str, tied: bool):
    torch.manual_seed(5)
    config = AutoConfig.for_model(kind, **SIZES, vocab_size=WORDS, tie_word_embeddings=tied)
    return AutoModelForCausalLM.from_config(config)


def batch():
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(WORDS, (2, 20), generator=draw)
    ids[0, :5] = torch.tensor(TOKENS)
    return {"input_ids": ids, "labels": ids.clone()}


def adapted(kind="llama", tied=True, steps=3, **changes):
    """A model with an adapter that was trained for some steps."""
    model = add_adapter(model_of(kind, tied), LORA | changes, TOKENS, seed=1)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(steps):
        model(**batch()).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model


def whole_model(model, kind, tied):
    """A model without peft, of the merged weights."""
    plain = model_of(kind, tied)
    plain.load_state_dict(dict(merged(model.state_dict(), LORA, TOKENS)))
    return plain


@pytest.mark.parametrize(("kind", "tied"), MODELS)
def test_merged_weights_are_the_base_s_plus_the_scaled_product(kind, tied):
    model, base = adapted(kind, tied), model_of(kind, tied).state_dict()
    whole = dict(merged(model.state_dict(), LORA, TOKENS))
    assert whole.keys() == base.keys()
    layers = dict(model.get_base_model().named_modules())
    changed = 0
    for name, weights in whole.items():
        layer = layers[name.rpartition(".")[0]]
        if hasattr(layer, "lora_A") and name.endswith(".weight"):
            product = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
            torch.testing.assert_close(weights, base[name] + SCALE * product, atol=1e-5, rtol=0)
            assert (weights - base[name]).abs().max() > 1e-3
            changed += 1
        elif not hasattr(layer, ROWS):
            assert torch.equal(weights, base[name])
    assert changed == 2 * len(linear_layers(model_of(kind, tied)))


@pytest.mark.parametrize(("kind", "tied"), MODELS)
def test_the_merged_model_says_what_the_trained_one_does(kind, tied):
    model = adapted(kind, tied).eval()
    whole = whole_model(model, kind, tied).eval()
    found, expected = whole(**batch()).logits, model(**batch()).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    before = model_of(kind, tied).eval()(**batch()).logits
    assert (found - before).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "tied"), MODELS)
def test_only_the_adapter_and_the_tokens_rows_differ_from_the_base(kind, tied):
    model, fresh = adapted(kind, tied).state_dict(), adapted(kind, tied, steps=0).state_dict()
    differ = {name for name in model if not torch.equal(model[name], fresh[name])}
    assert differ == {name for name in model if ".lora_" in name or name.endswith(ROWS)}
    whole, base = (dict(merged(each, LORA, TOKENS)) for each in (model, fresh))
    others = [number for number in range(WORDS) if number not in TOKENS]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(whole[name][others], base[name][others])
        assert (whole[name][TOKENS] != base[name][TOKENS]).any(dim=1).all()
    assert torch.equal(whole[name], whole["model.embed_tokens.weight"]) == tied


@pytest.mark.parametrize(("kind", "tied"), MODELS)
def test_rows_get_the_gradients_that_they_get_when_all_is_trained(kind, tied):
    """The adapter is nothing before its first step."""
    model, plain = adapted(kind, tied, steps=0), model_of(kind, tied)
    for each in (model, plain):
        each(**batch()).loss.backward()
    for found, expected in (
        (model.get_input_embeddings(), plain.get_input_embeddings()),
        (model.get_output_embeddings(), plain.get_output_embeddings()),
    ):
        assert found.weight.grad is None
        gradient = expected.weight.grad[TOKENS]
        torch.testing.assert_close(getattr(found, ROWS).grad, gradient, atol=1e-6, rtol=1e-5)


def test_named_layers_only():
    model = adapted(target_modules=["q_proj", "down_proj"])
    trained = {name for name, each in model.named_parameters() if each.requires_grad}
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in trained if "lora_" in name}
    assert layers == {"q_proj", "down_proj"}


@pytest.mark.parametrize("name", ["c_fc", "proj", "lm_head", "embed_tokens", "norm"])
def test_a_layer_that_is_not_there(name):
    """peft would train the other one, and say nothing."""
    with pytest.raises(UserError, match=f"no linear layer '{name}'") as caught:
        adapted(target_modules=["q_proj", name])
    assert caught.value.where == "config: training.lora.target_modules"
    assert "k_proj" in caught.value.hint and "all-linear" in caught.value.hint


def test_an_embedding_layer_that_does_more_than_to_look_up_a_row():
    config = AutoConfig.for_model("gemma3_text", **SIZES, head_dim=8, vocab_size=WORDS)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(UserError, match="rows of the student's Gemma3TextScaledWordEmbedding"):
        add_adapter(model, LORA, TOKENS, seed=1)


def test_an_output_layer_with_a_bias():
    model = model_of("llama", tied=False).eval()
    model.lm_head.bias = torch.nn.Parameter(torch.randn(WORDS))
    before = model(**batch()).logits
    torch.testing.assert_close(add_adapter(model, LORA, TOKENS, 1)(**batch()).logits, before)


def test_layers_of_a_model_that_is_not_loaded():
    with torch.device("meta"):
        model = model_of("starcoder2", tied=True)
    check_layers(model, ["c_fc", "c_proj"])
    assert linear_layers(model) == ["q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj"]


def test_the_seed_decides_and_what_was_drawn_before_does_not():
    def matrices(seed, disturb=0):
        model = model_of("llama", tied=False)
        torch.rand(disturb)
        found = add_adapter(model, LORA, TOKENS, seed).state_dict()
        return torch.cat([each.flatten() for name, each in found.items() if "lora_A" in name])

    assert torch.equal(matrices(1), matrices(1, disturb=3))
    assert not torch.equal(matrices(1), matrices(2))
