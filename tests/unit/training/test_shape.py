"""A model's size from its config alone, against published sizes and models that are built."""

from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.training.memory import memory_of, trained_parameters
from aiev.training.shape import Shape

ROOT = Path(__file__).parents[3]
DEEPSEEK_6_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "num_hidden_layers": 32,
    "vocab_size": 32256,
    "tie_word_embeddings": False,
}
DEEPSEEK_33B = DEEPSEEK_6_7B | {
    "hidden_size": 7168,
    "intermediate_size": 19200,
    "num_attention_heads": 56,
    "num_key_value_heads": 8,
    "num_hidden_layers": 62,
}
SMOLLM2_135M = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
# Of the models' own config.json; parameters as their safetensors files hold them.
PUBLISHED = {
    "deepseek-coder-6.7b": (DEEPSEEK_6_7B, 6_740_512_768),
    "deepseek-coder-33b": (DEEPSEEK_33B, 33_342_991_360),
    "smollm2-135m": (SMOLLM2_135M, 134_515_008),
}
SMALL = {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
VARIANTS = [
    ("llama", {"attention_bias": True, "mlp_bias": True}),
    ("llama", {"num_key_value_heads": 8, "head_dim": 24}),
    ("mistral", {}),
    ("qwen2", {}),
    ("starcoder2", {}),
    ("starcoder2", {"use_bias": False}),
]
TRAINING = {
    "deepspeed": "zero.json",
    "precision": "bfloat16",
    "micro_batch": 2,
    "max_tokens": 1000,
    "accelerators": 8,
    "activation_checkpointing": False,
    "lora": None,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    config, parameters = PUBLISHED[name]
    assert Shape.of(config).parameters == parameters


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("kind", "more"), VARIANTS)
def test_parameters_are_those_of_the_model_that_transformers_builds(kind, more, tied):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    keys = {**SMALL, **more, "num_hidden_layers": 3, "tie_word_embeddings": tied}
    config = AutoConfig.for_model(kind, **keys)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = Shape.of(config.to_dict())
    assert shape.parameters == model.num_parameters()
    assert shape.tied == tied


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "starcoder2"])
def test_activations_are_those_that_a_real_forward_pass_keeps(kind, precision):
    import torch
    from transformers import AutoConfig

    dtype, tokens = getattr(torch, precision), 40
    kept = []
    for layers in (1, 3):
        config = AutoConfig.for_model(kind, **SMALL, num_hidden_layers=layers)
        kept.append(bytes_kept(config, dtype, tokens))
    shape = Shape.of(config.to_dict())
    measured = (kept[1] - kept[0]) / 2 / tokens
    # On a CPU, LayerNorm keeps its two statistics in bfloat16.
    assert shape.layer_activations(dtype.itemsize) == pytest.approx(measured, abs=8)


LORA = {"rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "starcoder2"])
def test_activations_with_lora_are_those_that_a_real_forward_pass_keeps(kind, precision):
    import torch
    from transformers import AutoConfig

    dtype, tokens, params = getattr(torch, precision), 40, TRAINING | {"precision": precision}
    kept, said = [], []
    for layers in (1, 3):
        config = AutoConfig.for_model(kind, **SMALL, num_hidden_layers=layers)
        kept.append(bytes_kept(config, dtype, tokens, LORA))
        shape = Shape.of(config.to_dict())
        said.append(memory_of(shape, params | {"lora": LORA}, zero(2)).activations / 2000)
    assert (said[1] - said[0]) / 2 == pytest.approx((kept[1] - kept[0]) / 2 / tokens, abs=8)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("kind", "more"), VARIANTS)
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "o_proj"]])
def test_what_lora_trains_is_counted_as_peft_adds_it(kind, more, tied, targets):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from aiev.training.lora import add_adapter

    keys = {**SMALL, **more, "num_hidden_layers": 3, "tie_word_embeddings": tied}
    config, lora = AutoConfig.for_model(kind, **keys), LORA | {"target_modules": targets}
    with torch.device("meta"):
        model = add_adapter(AutoModelForCausalLM.from_config(config), lora, range(5), seed=1)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert trained_parameters(Shape.of(config.to_dict()), lora) == trained


def test_with_lora_only_what_is_trained_has_gradients_and_optimiser_state():
    shape, params = Shape.of(DEEPSEEK_6_7B), TRAINING | {"lora": LORA, "accelerators": 1}
    trained = trained_parameters(shape, LORA)
    # 8 x (in + out) of each matrix, and five rows of both embeddings.
    layer = 4 * (4096 + 4096) + 3 * (4096 + 11008)
    assert trained == 8 * 32 * layer + 5 * 2 * 4096
    found = memory_of(shape, params, zero(2))
    assert (found.gradients, found.optimiser) == (2 * trained, 12 * trained)
    assert found.weights == 2 * (shape.parameters + trained)
    assert found.total < memory_of(shape, TRAINING | {"accelerators": 1}, zero(2)).total / 4
    dropped = memory_of(shape, params | {"lora": LORA | {"dropout": 0.1}}, zero(2))
    assert dropped.activations - found.activations == 2000 * 32 * 3 * (6 * 4096 + 11008)
    # Frozen matrices need no gradients of their own.
    whole, frozen = shape.operations(1), shape.operations(1, trained)
    assert frozen == pytest.approx(whole * 4 / 6 + 6 * trained, rel=1e-4)


def test_a_layer_that_the_student_has_not_is_named_by_the_plan():
    lora = LORA | {"target_modules": ["q_proj", "c_fc"]}
    with pytest.raises(UserError, match="no linear layer 'c_fc'") as caught:
        memory_of(Shape.of(DEEPSEEK_6_7B), TRAINING | {"lora": lora}, zero(2))
    assert "gate_proj" in caught.value.hint


def bytes_kept(config, dtype, tokens: int, lora=None) -> int:
    """Bytes that autograd keeps of a forward pass, each storage once, without the weights."""
    import torch
    from transformers import AutoModelForCausalLM

    from aiev.training.lora import add_adapter

    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if lora:
        model = add_adapter(model, lora, range(5), seed=1).get_base_model()
    model = model.model.train()
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    alive, sizes = [], {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        alive.append(tensor)  # so that no other tensor gets its address
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.zeros((1, tokens), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return sum(sizes.values())


def zero(stage: int, **more):
    return {"zero_optimization": {"stage": stage, "reduce_bucket_size": 1000, **more}}


def test_zero_shares_out_optimiser_gradients_and_weights():
    shape = Shape.of(DEEPSEEK_6_7B)
    whole = shape.parameters
    parts = whole // 8
    found = [memory_of(shape, TRAINING, zero(stage)) for stage in range(4)]
    assert [each.weights for each in found] == [2 * whole] * 3 + [2 * parts]
    assert [each.gradients for each in found] == [2 * whole] * 2 + [2 * parts] * 2
    assert [each.optimiser for each in found] == [12 * whole] + [12 * parts] * 3
    # ZeRO 3 puts up to 10^9 parameters together for the layers at work.
    assert [each.gathered for each in found] == [0, 2000, 2000, 2000 + 2 * 10**9]
    assert found[0].total > found[1].total > found[2].total > found[3].total


def test_gradients_that_are_summed_in_float32_take_twice_as_much():
    shape = Shape.of(DEEPSEEK_6_7B)
    file = read_json(ROOT / "config/deepspeed/zero3.json")
    assert file["data_types"]["grad_accum_dtype"] == "fp32"
    summed, short = memory_of(shape, TRAINING, file), memory_of(shape, TRAINING, zero(3))
    assert summed.gradients == 2 * short.gradients == 4 * (shape.parameters // 8)
    exact = TRAINING | {"precision": "float32"}
    assert memory_of(shape, exact, file).gradients == memory_of(shape, exact, zero(3)).gradients


def test_gradients_are_sent_while_others_are_computed():
    """DeepSpeed's own default at stage 3."""
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    own = read_json(ROOT / "config/deepspeed/zero3.json")["zero_optimization"]
    numbers = {key: value for key, value in own.items() if value != "auto"}
    assert DeepSpeedZeroConfig(**numbers).overlap_comm is True


def test_more_accelerators_take_less_of_each_and_the_same_activations():
    shape = Shape.of(DEEPSEEK_33B)
    eight, forty = (
        memory_of(shape, TRAINING | {"accelerators": number}, zero(3)) for number in (8, 40)
    )
    assert forty.optimiser == eight.optimiser // 5 and forty.activations == eight.activations


def test_the_optimiser_in_the_host_s_memory():
    shape = Shape.of(DEEPSEEK_6_7B)
    here = memory_of(shape, TRAINING, zero(3))
    away = memory_of(shape, TRAINING, zero(3, offload_optimizer={"device": "cpu"}))
    assert away.optimiser == 0 and away.offloaded == here.optimiser
    assert here.total - away.total == here.optimiser


def test_recomputed_activations():
    shape = Shape.of(DEEPSEEK_6_7B)
    whole = memory_of(shape, TRAINING, zero(3))
    checked = memory_of(shape, TRAINING | {"activation_checkpointing": True}, zero(3))
    assert whole.activations == 2000 * 32 * shape.layer_activations(2)
    assert checked.activations == 2000 * (32 * 4096 * 2 + shape.layer_activations(2))


def test_the_step_counts_where_it_takes_more_than_the_backward_pass():
    shape = Shape.of(SMOLLM2_135M)
    short = memory_of(shape, TRAINING | {"max_tokens": 16, "micro_batch": 1}, zero(0))
    assert short.step == 4 * shape.parameters > short.activations + short.logits
    states = short.weights + short.gradients + short.optimiser
    assert short.total == states + short.step


def test_operations_are_six_for_each_parameter_and_more_for_long_dialogues():
    shape = Shape.of(DEEPSEEK_6_7B)
    matrices = shape.parameters - 32256 * 4096  # the input embedding is looked up
    short, long = shape.operations(1), shape.operations(4096)
    assert short == pytest.approx(6 * matrices, rel=1e-4)
    assert long - short == pytest.approx(6 * 32 * 4096 * 4095)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "mamba"}, "type 'mamba' is not known"),
        ({"hidden_size": None}, "hidden_size is None"),
        ({"num_hidden_layers": "32"}, "num_hidden_layers is '32'"),
    ],
)
def test_a_config_that_cannot_be_read(change, words):
    with pytest.raises(UserError, match=words) as caught:
        Shape.of(DEEPSEEK_6_7B | change, "here")
    assert caught.value.where == "here" and caught.value.hint
