"""Dialogues of a micro batch laid end to end in one row, without padding (`training.packing`).

Each keeps its own positions, from 0, and attends to nothing of its neighbours: the loss and the
gradients are those of the same dialogues in rows of their own, up to rounding.

transformers would take the borders from the positions too, and build a mask over the whole row; its
attention then costs the square of all tokens together. Here attention is computed dialogue by
dialogue, as FlashAttention's varlen kernels do it, and costs what it does in rows of their own.
"""

from collections.abc import Sequence
from typing import Any

from aiev.training.encoding import IGNORED

ATTENTION = "aiev_packed"
"""Name of `packed_attention` in transformers, for `attn_implementation`."""


def pack(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Tensors (1, tokens of all rows): input_ids, labels and position_ids."""
    import torch

    labels = [torch.as_tensor(row["labels"]).clone() for row in rows]
    for each in labels:
        # Shifted by one, it would be what the dialogue before is asked to go on with.
        each[0] = IGNORED
    positions = [torch.arange(len(each)) for each in labels]
    return {
        "input_ids": torch.cat([torch.as_tensor(row["input_ids"]) for row in rows])[None],
        "labels": torch.cat(labels)[None],
        "position_ids": torch.cat(positions)[None],
    }


def register_attention() -> str:
    """Make `packed_attention` known to transformers; returns its name there."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)
    return ATTENTION


def packed_attention(
    module,
    query,
    key,
    value,
    attention_mask,
    *,
    position_ids,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Any, None]:
    """Causal attention within each dialogue of a packed row.

    query: (1, heads, tokens, size); key and value: the same with their own number of heads.
    attention_mask: None, as transformers builds none for an attention that it does not know.
    position_ids: (1, tokens); a dialogue begins wherever it is 0.
    sliding_window: a token reads that many, itself included.
    Returns (1, tokens, heads, size), and None for the attention's weights.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    starts = (position_ids[0] == 0).nonzero().flatten().tolist()
    ends = [*starts[1:], position_ids.shape[1]]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    parts = zip(*(each.split(lengths, dim=2) for each in (query, key, value)), strict=True)
    done = [
        sdpa_attention_forward(module, *part, _window(part[0], sliding_window), **more)[0]
        for part in parts
    ]
    return torch.cat(done, dim=1), None


def _window(query, width: int | None):
    """Mask (tokens, tokens) of a sliding window; None where no dialogue is longer than it."""
    import torch

    count = query.shape[2]
    if width is None or count <= width:
        return None
    at = torch.arange(count, device=query.device)
    back = at[:, None] - at[None]
    return ((back >= 0) & (back < width))[None, None]
