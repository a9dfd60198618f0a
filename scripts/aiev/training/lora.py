"""LoRA (Hu et al., arXiv 2106.09685): instead of the student's weights, two small matrices beside
each linear layer are trained (`training.lora`), and added to the weights when the model is saved.

peft adds the matrices. The embedding rows of a few tokens are trained too: the four special tokens'
are new, and a base model has not learnt the token that ends a turn. peft has two ways to do that.
`modules_to_save` trains both matrices whole, with their optimiser state; `trainable_token_indices`
copies them in each forward pass, and under ZeRO-3 needs GPUs. So these rows are parameters of
their own here, which the two layers use in place of theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from aiev.core.errors import UserError
from aiev.training.token_rows import whole

ALL_LINEAR = "all-linear"
"""peft's name for all linear layers but the output layer."""

ROWS = "trained_rows"
_PREFIX = "base_model.model."
_DOWN, _UP = (f"lora_{matrix}.default.weight" for matrix in "AB")


def check_layers(model, targets: str | Sequence[str]) -> None:
    """Raise UserError for a name in `targets` that no linear layer of `model` has, for embedding
    layers whose rows cannot be trained alone, and for layers that LoRA cannot be merged into.

    Of several targets, peft itself would train those that exist, without a warning.
    """
    import torch

    # Another class may do more than look up a row or multiply (Gemma's scales its rows).
    for layer, plain in (
        (model.get_input_embeddings(), torch.nn.Embedding),
        (model.get_output_embeddings(), torch.nn.Linear),
    ):
        if type(layer) is not plain:
            raise UserError(
                f"LoRA cannot train rows of the student's {type(layer).__name__}",
                where="config: training.lora",
                hint="set training.lora to null, which trains all weights",
            )
    # peft takes these for linear layers, and theirs lie the other way round (GPT-2).
    if any(type(module).__name__ == "Conv1D" for module in model.modules()):
        raise UserError(
            "LoRA cannot be merged into the student's Conv1D layers",
            where="config: training.lora",
            hint="set training.lora to null, which trains all weights",
        )
    if targets == ALL_LINEAR:
        return
    known = linear_layers(model)
    for target in targets:
        if target not in known:
            raise UserError(
                f"the student has no linear layer {target!r} that LoRA could train",
                where="config: training.lora.target_modules",
                hint=f"use some of {', '.join(known)}, or {ALL_LINEAR}",
            )


def linear_layers(model) -> list[str]:
    """The last parts of the names of all linear layers but the output layer, each once."""
    import torch

    output = model.get_output_embeddings()
    found = (
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    )
    return list(dict.fromkeys(found))


def add_adapter(model, lora: Mapping[str, Any], tokens: Sequence[int], seed: int):
    """`model` as a peft model of which LoRA's matrices and the rows of `tokens` are trained.

    lora: the config's section `training.lora`. seed: decides the matrices' values.
    Raises UserError where `check_layers` does. All ranks of a training call this together.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    targets = lora["target_modules"]
    check_layers(model, targets)
    rows = _add_rows(model, tokens)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=targets if targets == ALL_LINEAR else list(targets),
    )
    # How many numbers were drawn before depends on how the weights were loaded.
    torch.manual_seed(seed)
    # In the weights' own type: DeepSpeed keeps float32 copies of what is trained.
    adapted = get_peft_model(model, config, autocast_adapter_dtype=False)
    for each in rows:
        each.requires_grad_(True)
    return adapted


def _add_rows(model, tokens: Sequence[int]) -> list[Any]:
    """Give both embedding layers rows of their own for `tokens`; these parameters, which are one
    where the matrices are one."""
    import torch

    ids = torch.tensor(tokens)
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    rows = [_rows_of(embedding.weight, ids)]
    if output.weight is not embedding.weight:
        rows.append(_rows_of(output.weight, ids))
    embedding.register_parameter(ROWS, rows[0])
    embedding.register_forward_hook(partial(_embed, ids))
    output.register_parameter(ROWS, rows[-1])
    output.register_forward_hook(partial(_score, ids))
    return rows


def _rows_of(matrix, ids):
    import torch

    with whole(matrix), torch.no_grad():
        return torch.nn.Parameter(matrix[ids.to(matrix.device)].clone())


def _embed(ids, layer, inputs, embedded):
    """Forward hook of the input embeddings: `embedded` with the trained rows."""
    import torch

    same = inputs[0][..., None] == ids.to(embedded.device)
    trained = torch.nn.functional.embedding(same.int().argmax(-1), getattr(layer, ROWS))
    return torch.where(same.any(-1, keepdim=True), trained, embedded)


def _score(ids, layer, inputs, logits):
    """Forward hook of the output layer: `logits` with those of the trained rows, in place."""
    import torch

    ids = ids.to(logits.device)
    bias = None if layer.bias is None else layer.bias[ids]
    trained = torch.nn.functional.linear(inputs[0], getattr(layer, ROWS), bias)
    return logits.index_copy_(-1, ids, trained)


def merged(
    state: Mapping[str, Any], lora: Mapping[str, Any], tokens: Sequence[int]
) -> Iterator[tuple[str, Any]]:
    """Names and tensors of the model without peft, from those of `add_adapter`'s model.

    A changed matrix is float32: W + alpha / rank x B A. One at a time, as the whole model would be
    twice as large. peft would merge in the model itself, whose weights ZeRO-3 has split.
    """
    plain = {
        name.removeprefix(_PREFIX).replace(".base_layer.", "."): tensor
        for name, tensor in state.items()
    }
    scale = lora["alpha"] / lora["rank"]
    for name, tensor in plain.items():
        layer, _, kind = name.rpartition(".")
        if kind == ROWS or name.endswith((_DOWN, _UP)):
            continue
        if kind == "weight":
            down, up = plain.get(f"{layer}.{_DOWN}"), plain.get(f"{layer}.{_UP}")
            if down is not None:
                tensor = tensor.float() + scale * (up.float() @ down.float())
            rows = plain.get(f"{layer}.{ROWS}")
            if rows is not None:
                tensor = tensor.clone()
                tensor[list(tokens)] = rows
        yield name, tensor
