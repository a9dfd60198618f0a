"""A file of tagged dialogues, encoded for the training's processes and counted.

Long files are encoded by as many processes as this one may use processors: a job that trains holds
its GPUs meanwhile. What is written is the same with any number of them.
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_jsonl
from aiev.core.log import log
from aiev.core.process import die_with_parent
from aiev.training.encoding import TOO_LONG, Encoded, encode_all
from aiev.training.examples import write_examples
from aiev.training.too_long import Counts

CHUNK = 256
"""Dialogues that a process encodes at a time; a shorter file takes no further process."""

_inherited: list[tuple] = []
"""In a process that encodes: tokenizer, rows and `training`, as they were when it was forked."""


def encode_file(tokenizer, data: Path, params: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the encoded conversations of `data` to `folder`; their counts, those of what was
    dropped, and a Counter of the tokens that end a turn.

    params: the config's section `training`.
    """
    rows, found = read_jsonl(data), Counts()
    counts = write_examples(folder, _in_order(tokenizer, rows, params, found))
    reasons = _reasons(found.dropped) or "none"
    log.info("%s: %d of %d dialogues; dropped: %s", data, counts["examples"], len(rows), reasons)
    return {**counts, "dialogues": len(rows), **found.as_json()}


def _in_order(
    tokenizer, rows: Sequence[Mapping[str, Any]], params: Mapping[str, Any], found: Counts
) -> Iterator[Encoded]:
    """The encoded conversations of all rows in their order, counted in `found`."""
    starts = range(0, len(rows), CHUNK)
    processes = min(len(os.sched_getaffinity(0)), len(starts))
    work = tokenizer, rows, params
    if processes < 2:
        yield from _chunk(work, 0, len(rows), found)
        return
    # Forked, so that neither the rows nor the tokenizer are copied.
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, fork, _begin, (work,)) as pool:
        for encoded, counts in pool.map(_encode_chunk, starts):
            found.add(counts)
            yield from encoded


def _begin(work: tuple) -> None:
    """In a process that encodes."""
    die_with_parent()
    # Ctrl-C reaches all; the parent says so and ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The tokenizer's own threads were not forked.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _inherited.append(work)


def _encode_chunk(start: int) -> tuple[list[Encoded], Counts]:
    counts = Counts()
    return list(_chunk(_inherited[-1], start, CHUNK, counts)), counts


def _chunk(work: tuple, start: int, size: int, counts: Counts) -> Iterator[Encoded]:
    tokenizer, rows, params = work
    part = rows[start : start + size]
    return encode_all(
        tokenizer, part, params["max_tokens"], counts, params["learn"], params["too_long"]
    )


def check_counts(counts: Mapping[str, Any], data: Path, params: Mapping[str, Any]) -> None:
    """Raise UserError for training data of which nothing can be used."""
    if not counts["dialogues"]:
        raise UserError(
            "no training dialogues",
            where=str(data),
            hint="contamination.json and tagged.json beside it count what was dropped and why",
        )
    if not counts["examples"]:
        hint = "make more dialogues"
        if TOO_LONG in counts["dropped"]:
            hint = f"raise training.max_tokens, which is {params['max_tokens']}"
        reasons = _reasons(counts["dropped"])
        raise UserError(
            f"none of {counts['dialogues']} dialogues can be trained on: {reasons}",
            where=str(data),
            hint=hint,
        )


def _reasons(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))


def end_of_turn(tokenizer, ends: Counter[int]) -> int:
    """The token at which the student will stop. Raises UserError where training uses several."""
    if len(ends) > 1:
        names = ", ".join(repr(tokenizer.decode([token])) for token in sorted(ends))
        raise UserError(
            f"the chat template ends turns with different tokens: {names}",
            where=f"chat template of {tokenizer.name_or_path}",
            hint="use a student whose template ends each turn with the same token",
        )
    return next(iter(ends))
