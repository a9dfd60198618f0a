"""Embedding rows of the four special tokens, made distinct before training begins.

Left to itself a new row is of no use: `resize_token_embeddings` draws all new rows within 1e-4 of
the mean of the old ones, and models that keep spare rows (Qwen2.5, DeepSeek-Coder) hold the same
vector in every one of them. Four equal vectors stay equal, as training moves them together.

So each row is drawn, with a fixed seed, from the normal distribution that fits the embeddings of
the words that describe its token: it starts near their meaning, as long as an ordinary row.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from aiev.core.errors import UserError
from aiev.dataset.tokens import RES_START, RES_STOP, RUN_START, RUN_STOP

DESCRIPTIONS = {
    RUN_START: " start to execute this code",
    RUN_STOP: " stop here, wait for the interpreter",
    RES_START: " begin of printed output",
    RES_STOP: " end of the result, answer now",
}
"""Words that say what each token means. No content word is in two of them."""

MAX_COSINE = 0.9
"""Rows closer than this are one vector to the model: training would not tell the tokens apart."""


def description_ids(tokenizer, tokens: Iterable[str]) -> dict[int, list[int]]:
    """Token id -> ids of the words that describe it, for those of the four named in `tokens`."""
    return {
        tokenizer.convert_tokens_to_ids(token): tokenizer(
            DESCRIPTIONS[token], add_special_tokens=False
        )["input_ids"]
        for token in tokens
    }


def set_rows(model, words: Mapping[int, Sequence[int]], seed: int) -> None:
    """Set each token's row of the input matrix, and of the output matrix where it is another one.

    words: token id -> ids of the words that describe it.
    All ranks of a training call this together: a matrix that ZeRO-3 has split is put together for
    it, written by the first rank and split again.
    """
    import torch

    for number, matrix in enumerate(_matrices(model)):
        with whole(matrix), torch.no_grad():
            for token, described_by in sorted(words.items()):
                rows = matrix[list(described_by)].float()
                mean, spread = rows.mean(dim=0), rows.std(dim=0, correction=0)
                draw = torch.Generator().manual_seed(seed * 2_000_003 + 2 * token + number)
                noise = torch.randn(len(mean), generator=draw).to(mean.device)
                matrix[token] = (mean + spread * noise).to(matrix.dtype)


def check_rows(model, tokens: Mapping[str, int]) -> None:
    """Raise UserError where two tokens have nearly the same row. tokens: name -> id."""
    import torch

    for matrix in _matrices(model):
        with whole(matrix), torch.no_grad():
            rows = matrix[list(tokens.values())].float().cpu()
        unit = torch.nn.functional.normalize(rows, dim=1)
        for one, two in itertools.combinations(range(len(tokens)), 2):
            cosine = float(unit[one] @ unit[two])
            # Not `cosine >= MAX_COSINE`: that is false for the NaN of a broken matrix.
            if not cosine < MAX_COSINE or not rows[one].any() or not rows[two].any():
                names = list(tokens)
                raise UserError(
                    f"{names[one]} and {names[two]} have embedding rows with cosine {cosine:.3f}; "
                    f"below {MAX_COSINE} is needed to tell them apart",
                    where="the student's embedding matrices, before training",
                    hint="train from a student without these tokens, so that their rows are set",
                )


def _matrices(model) -> list[Any]:
    """The input embeddings' weights and, where it is not tied to them, the output layer's."""
    matrices = [model.get_input_embeddings().weight]
    output = model.get_output_embeddings()
    if output is not None and output.weight is not matrices[0]:
        matrices.append(output.weight)
    return matrices


def whole(matrix):
    """Context in which a parameter is there as a whole, also when ZeRO-3 has split it."""
    if not hasattr(matrix, "ds_id"):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters([matrix], modifier_rank=0)
