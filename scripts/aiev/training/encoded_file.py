"""A file of tagged dialogues, encoded for the training's processes and counted."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_jsonl
from aiev.core.log import log
from aiev.training.encoding import TOO_LONG, encode_all
from aiev.training.examples import write_examples
from aiev.training.too_long import Counts


def encode_file(tokenizer, data: Path, params: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the encoded conversations of `data` to `folder`; their counts, those of what was
    dropped, and a Counter of the tokens that end a turn.

    params: the config's section `training`.
    """
    rows, found = read_jsonl(data), Counts()
    encoded = encode_all(
        tokenizer, rows, params["max_tokens"], found, params["learn"], params["too_long"]
    )
    counts = write_examples(folder, encoded)
    reasons = _reasons(found.dropped) or "none"
    log.info("%s: %d of %d dialogues; dropped: %s", data, counts["examples"], len(rows), reasons)
    return {**counts, "dialogues": len(rows), **found.as_json()}


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
