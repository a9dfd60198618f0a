"""Memory that a training takes on each accelerator, from the config alone.

Counted as DeepSpeed 0.19 with ZeRO (Rajbhandari et al., arXiv 1910.02054) keeps it: weights and
gradients in the precision of the computation; float32 weights and two moments of Adam for the
optimiser, also where the computation is float32; what the backward pass needs. Not counted: the
CUDA context, NCCL, the allocator's fragments, and Python itself (some GiB together).
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

    params: the config's section `training`. deepspeed: the DeepSpeed config that it names. Every
    dialogue counts as the longest that is trained on (`max_tokens`).
    """
    zero = deepspeed.get("zero_optimization", {})
    stage, ranks = zero.get("stage", 0), params["accelerators"]
    if stage not in (0, 1, 2, 3):
        raise UserError(
            f"zero_optimization.stage is {stage!r}",
            where=params["deepspeed"],
            hint="use 0, 1, 2 or 3",
        )
    each = bytes_of(params["precision"])
    whole = shape.parameters
    part = math.ceil(whole / ranks)
    offload = bool(zero.get("offload_optimizer", {}).get("device", "none") != "none")
    optimiser = OPTIMISER * (part if stage else whole)
    tokens = params["micro_batch"] * params["max_tokens"]
    updated = part if stage else whole
    if stage == 3:  # sub-groups of parameters are updated one after another
        updated = min(updated, int(zero.get("sub_group_size", 10**9)))
    # A half-precision logit is copied to float32.
    logit = each + LOGITS + (4 if each < 4 else 0)
    return Memory(
        weights=each * (part if stage == 3 else whole),
        gradients=each * (part if stage >= 2 else whole),
        optimiser=0 if offload else optimiser,
        gathered=_gathered(shape, stage, ranks, each, zero),
        activations=tokens * _activations(shape, each, params["activation_checkpointing"]),
        logits=tokens * shape.vocabulary * logit,
        step=0 if offload else 4 * updated,
        offloaded=optimiser if offload else 0,
    )


def bytes_of(precision: str) -> int:
    return {"float32": 4, "bfloat16": 2}[precision]


def _activations(shape: Shape, each: int, checkpointed: bool) -> int:
    """Bytes for each token: of all layers, or of their inputs and the one that is recomputed."""
    layer = shape.layer_activations(each)
    if checkpointed:
        return shape.layers * shape.hidden * each + layer
    return shape.layers * layer


def _gathered(shape: Shape, stage: int, ranks: int, each: int, zero: Mapping[str, Any]) -> int:
    """What an accelerator holds of the others' parts, and the bucket of gradients on its way."""
    if not stage:
        return 0
    # transformers sets a bucket that is "auto" to the square of the hidden size.
    bucket = zero.get("reduce_bucket_size", 5 * 10**8)
    bucket = shape.hidden**2 if bucket == "auto" else int(bucket)
    live = 0
    if stage == 3 and ranks > 1:
        live = min(shape.parameters, int(zero.get("stage3_max_live_parameters", 10**9)))
    return each * (min(bucket, shape.parameters) + live)
