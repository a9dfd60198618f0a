"""What laying dialogues end to end gains over padding them, at the size of the laptop's student."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from aiev.resources.declare import SHAPE
from benches import report

LENGTHS = (342, 590, 497, 442, 595, 396, 503, 591, 682)
"""Tokens of the training dialogues of two laptop runs."""

MICRO_BATCH = 4
STUDENT = "smollm2-135m"
TIMES = 2
TOKENS = 40_000
"""Fewer than the vocabulary has; which ones they are costs nothing."""


def packing() -> None:
    """Tokens a second, padding not counted, of forward and backward passes over packed micro
    batches, against the same micro batches padded. Weights are random: they cost as much."""
    from functools import partial

    from aiev.training.packing import ATTENTION, pack, register_attention
    from aiev.training.worker import collate

    register_attention()
    rows = _rows()
    micro = [rows[at : at + MICRO_BATCH] for at in range(0, len(rows), MICRO_BATCH)]
    packed, padded = _model(ATTENTION), _model(None)
    seconds = [
        (_seconds(packed, micro, pack), _seconds(padded, micro, partial(collate, padding=0)))
        for _ in range(TIMES)
    ]
    value, peer = (sum(LENGTHS) / min(each) for each in zip(*seconds, strict=True))
    report("packing", value, "tokens/s", "the same micro batches padded", peer, value / peer)


def _rows() -> list[dict[str, Any]]:
    import torch

    draw = torch.Generator().manual_seed(0)
    tokens = [torch.randint(TOKENS, (length,), generator=draw) for length in LENGTHS]
    return [{"input_ids": each, "labels": each} for each in tokens]


def _model(attention: str | None):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(os.cpu_count() or 1)
    declared = yaml.safe_load(Path("config/resources.yaml").read_text("utf-8"))
    config = AutoConfig.for_model(**declared[STUDENT][SHAPE])
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).train()


def _seconds(model, micro: Sequence[Sequence[dict[str, Any]]], collate: Callable) -> float:
    start = time.monotonic()
    for rows in micro:
        model(**collate(rows), use_cache=False).loss.backward()
    model.zero_grad()
    return time.monotonic() - start
