"""Encoded conversations on disk, read through a memory map.

Each training process needs all of them: as lists of Python numbers the paper's 169,000 dialogues
take 13.8 GiB in every process, mapped from a file they take none of their own.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy

from aiev.training.encoding import IGNORED, Encoded

TOKENS = "tokens.int32"
LOSS = "in_loss.bool"
BORDERS = "borders.npy"
EMPTY = -1
"""Number of an example of one token and without loss, for a process that has nothing left."""


def write_examples(folder: Path, examples: Iterable[Encoded]) -> dict[str, Any]:
    """Write the conversations one after another, and count them.

    Returns {"examples", "tokens", "loss_tokens", "ends": Counter of the last token in the loss}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    borders, in_loss, ends = [0], 0, Counter()
    with open(folder / TOKENS, "wb") as tokens, open(folder / LOSS, "wb") as loss:
        for example in examples:
            mask = numpy.array(example.labels) != IGNORED
            tokens.write(numpy.array(example.input_ids, numpy.int32).tobytes())
            loss.write(mask.tobytes())
            borders.append(borders[-1] + len(mask))
            in_loss += int(mask.sum())
            ends[example.end_of_turn] += 1
    numpy.save(folder / BORDERS, numpy.array(borders, numpy.int64))
    counts = {"examples": len(borders) - 1, "tokens": borders[-1], "loss_tokens": in_loss}
    return {**counts, "ends": ends}


class Examples:
    """What `write_examples` wrote, as a PyTorch data set of {"input_ids", "labels"}, both 1-D int64
    arrays of one length."""

    def __init__(self, folder: Path):
        self.borders = numpy.load(folder / BORDERS)
        self.tokens = numpy.memmap(folder / TOKENS, numpy.int32, "r")
        self.in_loss = numpy.memmap(folder / LOSS, numpy.bool_, "r")

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, number: int) -> dict[str, numpy.ndarray]:
        if number == EMPTY:
            nothing = numpy.array([IGNORED], numpy.int64)
            return {"input_ids": numpy.zeros_like(nothing), "labels": nothing}
        part = slice(*self.borders[number : number + 2])
        tokens = self.tokens[part].astype(numpy.int64)
        return {
            "input_ids": tokens,
            "labels": numpy.where(self.in_loss[part], tokens, IGNORED),
        }
