"""Memory that a training takes on each accelerator, from the config alone.

Counted as DeepSpeed 0.19 with ZeRO (Rajbhandari et al., arXiv 1910.02054) keeps it: weights in the
precision of the computation; gradients too, unless `data_types.grad_accum_dtype` is fp32; float32
weights and two moments of Adam for the optimiser, also where the computation is float32; what the
backward pass needs. With LoRA only what is trained has gradients and optimiser state. Not counted:
the CUDA context, NCCL, the allocator's fragments, and Python itself (some GiB together).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiev.core.errors import UserError
from aiev.training.shape import Shape

OPTIMISER = 12
"""Bytes for each parameter: a float32 copy of it and Adam's two moments."""

LOGITS = 8
"""Bytes for each logit beyond the logit itself: its logarithmic softmax and its gradient, in
float32. A half-precision logit is also copied to float32."""

TRAINED_ROWS = 5
"""Of the four special tokens and of the one that ends a turn."""

SHARD = 50 * 10**9
"""Largest file that transformers 5 writes of a model, in bytes."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each accelerator.

    gathered: parts of other accelerators (ZeRO 3) and buckets that are sent. step: float32
    gradients while the optimiser works, when activations and logits are free again. offloaded:
    optimiser state that is in the host's memory instead.
    """

    weights: int
    gradients: int
    optimiser: int
    gathered: int
    activations: int
    logits: int
    step: int
    offloaded: int = 0

    @property
    def total(self) -> int:
        """The most at one time."""
        held = self.weights + self.gradients + self.optimiser + self.gathered
        return held + max(self.activations + self.logits, self.step)


def memory_of(shape: Shape, params: Mapping[str, Any], deepspeed: Mapping[str, Any]) -> Memory:
    """Memory of one training.

    params: the config's section `training`. deepspeed: of `read_deepspeed`. Every
    dialogue counts as the longest that is trained on (`max_tokens`).
    """
    zero = deepspeed.get("zero_optimization") or {}
    stage, ranks = zero.get("stage", 0), params["accelerators"]
    each, lora = bytes_of(params["precision"]), params["lora"]
    trained = trained_parameters(shape, lora)
    whole = shape.parameters + (trained if lora else 0)
    part = math.ceil(trained / ranks)
    offload = (zero.get("offload_optimizer") or {}).get("device", "none") != "none"
    optimiser = OPTIMISER * (part if stage else trained)
    tokens = params["micro_batch"] * params["max_tokens"]
    updated = part if stage else trained
    if stage == 3:  # sub-groups of parameters are updated one after another
        updated = min(updated, int(zero.get("sub_group_size", 10**9)))
    summed = 4 if deepspeed.get("data_types", {}).get("grad_accum_dtype") == "fp32" else each
    # A half-precision logit is copied to float32.
    logit = each + LOGITS + (4 if each < 4 else 0)
    return Memory(
        weights=each * (math.ceil(whole / ranks) if stage == 3 else whole),
        gradients=summed * (part if stage >= 2 else trained),
        optimiser=0 if offload else optimiser,
        gathered=each * _gathered(shape, stage, ranks, trained, zero),
        activations=tokens * _activations(shape, each, params["activation_checkpointing"], lora),
        logits=tokens * shape.vocabulary * logit,
        step=0 if offload else 4 * updated,
        offloaded=optimiser if offload else 0,
    )


def bytes_of(precision: str) -> int:
    return {"float32": 4, "bfloat16": 2}[precision]


def trained_parameters(shape: Shape, lora: Mapping[str, Any] | None) -> int:
    """All parameters, or those that LoRA trains: two matrices for each target, and some rows.

    lora: the config's `training.lora`. Raises UserError for a target that the student lacks.
    """
    if not lora:
        return shape.parameters
    layer = sum(lora["rank"] * sum(shape.linear[name]) for name in _targets(shape, lora))
    rows = TRAINED_ROWS * shape.hidden * (1 if shape.tied else 2)
    return shape.layers * layer + rows


def _targets(shape: Shape, lora: Mapping[str, Any]) -> list[str]:
    """Names of the linear layers that LoRA trains."""
    known, wanted = list(shape.linear), lora["target_modules"]
    names = known if isinstance(wanted, str) else wanted
    for name in names:
        if name not in known:
            raise UserError(
                f"a student of type {shape.kind} has no linear layer {name!r} in its layers",
                where="config: training.lora.target_modules",
                hint=f"use some of {', '.join(known)}, or all-linear",
            )
    return names


def _activations(
    shape: Shape, each: int, checkpointed: bool, lora: Mapping[str, Any] | None
) -> int:
    """Bytes for each token: of all layers, or of their inputs and the one that is recomputed."""
    layer = shape.layer_activations(each, frozen=bool(lora))
    if lora:
        targets = _targets(shape, lora)
        layer += len(targets) * lora["rank"] * each
        if lora["dropout"]:  # its mask, and what it leaves
            layer += sum(shape.linear[name][0] for name in targets) * (1 + each)
    if checkpointed:
        return shape.layers * shape.hidden * each + layer
    return shape.layers * layer


def _gathered(shape: Shape, stage: int, ranks: int, trained: int, zero: Mapping[str, Any]) -> int:
    """Numbers of the others' parts on an accelerator, and the bucket of gradients on its way."""
    if not stage:
        return 0
    # transformers sets a bucket that is "auto" to the square of the hidden size.
    bucket = zero.get("reduce_bucket_size", 5 * 10**8)
    bucket = shape.hidden**2 if bucket == "auto" else int(bucket)
    live = 0
    if stage == 3 and ranks > 1:
        live = min(shape.parameters, int(zero.get("stage3_max_live_parameters", 10**9)))
    return min(bucket, trained) + live
