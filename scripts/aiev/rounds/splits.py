"""The split of a round: verified dialogues into test and train, by a stable hash of their ids."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from aiev.core.errors import UserError
from aiev.core.hashing import of_text
from aiev.core.types import Dialogue


@dataclass(frozen=True)
class Split:
    """A round's verified dialogues, each side sorted by id, and the counts of all dialogues."""

    train: list[Dialogue]
    test: list[Dialogue]
    report: dict[str, Any]


def place(dialogue_id: str, salt: str) -> Fraction:
    """Where an id lies in [0, 1): a function of the id alone, not of other dialogues."""
    return Fraction(int(of_text(f"{salt}:{dialogue_id}")[:16], 16), 16**16)


def split_round(
    dialogues: Iterable[Dialogue],
    test_share: float,
    salt: str,
    minimum_test: int = 0,
    minimum_yield: float = 0.0,
) -> Split:
    """Split the verified dialogues of a round; the others are counted by their reason.

    The dialogues whose place is below the share become test problems. A small round may have too
    few of them, or nothing else: the next places are added up to `minimum_test`, and the last
    verified dialogue always stays for training.
    test_share: share that becomes test problems, in [0, 1). minimum_yield: minimum share of
    verified dialogues in a self-learning round.
    Raises UserError for a repeated id, when no dialogue is verified, and for a self-learning round
    below minimum_yield.
    """
    dialogues = unique(dialogues)
    _check_yield(dialogues, minimum_yield)
    reasons = Counter(d["reason"] for d in dialogues if d["verdict"] != "verified")
    verified = [d for d in dialogues if d["verdict"] == "verified"]
    if not verified:
        raise UserError(
            f"no dialogue of the round is verified; {len(dialogues)} were rejected: "
            f"{dict(sorted(reasons.items()))}",
            hint="see the dialogues' `reason`; use a stronger teacher or more seeds",
        )
    places = {d["id"]: place(d["id"], salt) for d in verified}
    below = sum(each < Fraction(str(test_share)) for each in places.values())
    size = min(max(below, minimum_test), len(verified) - 1)
    chosen = set(sorted(places, key=places.__getitem__)[:size])
    test = [d for d in verified if d["id"] in chosen]
    train = [d for d in verified if d["id"] not in chosen]
    counts = {"dialogues": len(dialogues), "verified": len(verified), "rejected": dict(reasons)}
    counts["stage"] = dialogues[0]["stage"]
    counts["answers"] = _answers(dialogues)
    return Split(train, test, {**counts, "train": len(train), "test": len(test)})


def _answers(dialogues: Iterable[Dialogue]) -> dict[str, int]:
    """Answers of the round's models: asked, and of these resampled, cut off, refused, ..."""
    total: Counter[str] = Counter()
    for dialogue in dialogues:
        total.update(dialogue.get("evidence", {}).get("answers", {}))
    return dict(sorted(total.items()))


def _check_yield(dialogues: list[Dialogue], floor: float) -> None:
    """Stop a run whose student no longer yields enough verified dialogues: the remaining rounds
    would be wasted."""
    if not dialogues or dialogues[0]["stage"] != "self-learning":
        return
    verified = sum(d["verdict"] == "verified" for d in dialogues)
    # As decimals: in binary, 0.07 of 100 is a little more than 7.
    if verified < Fraction(str(floor)) * len(dialogues):
        reasons = Counter(d["reason"] for d in dialogues if d["reason"])
        raise UserError(
            f"the yield of the self-learning round fell below rounds.minimum_yield: {verified} of "
            f"{len(dialogues)} dialogues by {dialogues[0]['model']} are verified "
            f"({verified / len(dialogues):.0%}, minimum {floor:.0%}); rejected: "
            f"{dict(sorted(reasons.items()))}",
            where="config: rounds.minimum_yield",
            hint="keep the teacher (rounds.self_learning: false), ask for a clearer win of the "
            "student (gate.margin, gate.confidence), or lower rounds.minimum_yield",
        )


def recorded(
    seeds: Iterable[Mapping[str, Any]], dialogues: Iterable[Any], where: str
) -> list[Dialogue]:
    """The dialogues of the seeds, in the seeds' order, out of another run's first round.

    Raises UserError for a seed without a dialogue, and for a row that is no dialogue.
    """
    by_seed = {}
    for number, dialogue in enumerate(dialogues, 1):
        _check_recorded(dialogue, f"{where}, line {number}")
        by_seed[dialogue["seed"]["id"]] = dialogue
    seeds = list(seeds)
    missing = [seed["id"] for seed in seeds if seed["id"] not in by_seed]
    if missing:
        raise UserError(
            f"no recorded dialogue of {len(missing)} seeds: {', '.join(missing[:5])}",
            where=where,
            hint="record the first round with the same seeds, or set rounds.recorded to null",
        )
    return [by_seed[seed["id"]] for seed in seeds]


def _check_recorded(dialogue: Any, where: str) -> None:
    """Raise UserError for what cannot be a dialogue of a first round."""
    if not isinstance(dialogue, dict):
        problem = f"is {_kind(dialogue)} and not an object"
    elif missing := sorted(Dialogue.__required_keys__ - dialogue.keys()):
        problem = f"lacks {', '.join(missing)}"
    elif dialogue["round"] != 0:
        problem = f"is of round {dialogue['round']}"
    elif not isinstance(dialogue["seed"], dict):
        problem = f"has a `seed` that is {_kind(dialogue['seed'])}, not an object with an id"
    elif not isinstance(dialogue["seed"].get("id"), str):
        problem = "has a `seed` without a text `id`"
    else:
        return
    hint = "set rounds.recorded to rounds/0/dialogues/*.jsonl of a finished run"
    raise UserError(f"a recorded dialogue {problem}", where=where, hint=hint)


def _kind(value: Any) -> str:
    """Name of a JSON value's type, for messages."""
    names = {str: "text", list: "a list", bool: "a boolean", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")


def gather(rounds: Sequence[Sequence[Dialogue]]) -> list[Dialogue]:
    """The training dialogues of all rounds in the order of the rounds, sorted by id within each.

    Raises UserError for a repeated id.
    """
    gathered = [d for dialogues in rounds for d in sorted(dialogues, key=lambda d: d["id"])]
    unique(gathered)
    return gathered


def unique(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues sorted by id. Raises UserError for a repeated id."""
    found = sorted(dialogues, key=lambda d: d["id"])
    repeated = sorted(i for i, n in Counter(d["id"] for d in found).items() if n > 1)
    if repeated:
        raise UserError(
            f"{len(repeated)} duplicate dialogue ids: {', '.join(repeated[:5])}",
            hint="remove the shard files that were copied or edited by hand, and run again",
        )
    return found
