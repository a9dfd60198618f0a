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


def is_test(dialogue_id: str, test_share: float, salt: str) -> bool:
    """Whether a dialogue is a test problem: decided by its id alone, never by its neighbours."""
    place = Fraction(int(of_text(f"{salt}:{dialogue_id}")[:16], 16), 16**16)
    return place < Fraction(str(test_share))


def split_round(
    dialogues: Iterable[Dialogue], test_share: float, salt: str, minimum_yield: float = 0.0
) -> Split:
    """Split the verified dialogues of a round; the others are counted by their reason.

    test_share: share that becomes test problems, in [0, 1). minimum_yield: least share of a
    self-learning round's dialogues that has to be verified.
    Raises UserError for a repeated id, when no dialogue is verified, and for a self-learning round
    under its floor. That few dialogues all fall to one side is no mistake.
    """
    dialogues = unique(dialogues)
    _check_yield(dialogues, minimum_yield)
    reasons = Counter(d["reason"] for d in dialogues if d["verdict"] != "verified")
    verified = [d for d in dialogues if d["verdict"] == "verified"]
    if not verified:
        raise UserError(
            f"no dialogue of the round is verified; {len(dialogues)} were rejected: "
            f"{dict(sorted(reasons.items()))}",
            hint="read the dialogues' reasons; a stronger teacher or more seeds would help",
        )
    test = [d for d in verified if is_test(d["id"], test_share, salt)]
    train = [d for d in verified if not is_test(d["id"], test_share, salt)]
    counts = {"dialogues": len(dialogues), "verified": len(verified), "rejected": dict(reasons)}
    counts["stage"] = dialogues[0]["stage"]
    return Split(train, test, {**counts, "train": len(train), "test": len(test)})


def _check_yield(dialogues: list[Dialogue], floor: float) -> None:
    """A student that has stopped to teach would only burn the rounds to come."""
    if not dialogues or dialogues[0]["stage"] != "self-learning":
        return
    verified = sum(d["verdict"] == "verified" for d in dialogues)
    # As decimals: in binary, 0.07 of 100 is a little more than 7.
    if verified < Fraction(str(floor)) * len(dialogues):
        reasons = Counter(d["reason"] for d in dialogues if d["reason"])
        raise UserError(
            f"the self-learning round of {dialogues[0]['model']} kept {verified} of "
            f"{len(dialogues)} dialogues ({verified / len(dialogues):.0%}), under the floor of "
            f"{floor:.0%}; rejected: {dict(sorted(reasons.items()))}",
            where="config: rounds.minimum_yield",
            hint="let the teacher go on (rounds.self_learning: false), ask for a clearer win "
            "(gate.margin, gate.confidence), or lower the floor",
        )


def recorded(
    seeds: Iterable[Mapping[str, Any]], dialogues: Iterable[Dialogue], where: str
) -> list[Dialogue]:
    """The dialogues of the seeds, in their order, out of those of another run's first round.

    Raises UserError that names a seed without a dialogue, and for what is no record of one.
    """
    by_seed = {}
    for number, dialogue in enumerate(dialogues, 1):
        known = dialogue.keys() if isinstance(dialogue, dict) else ()
        lacks = sorted(Dialogue.__annotations__.keys() - set(known))
        if lacks or dialogue["round"] != 0:
            what = f"lacks {', '.join(lacks)}" if lacks else f"is of round {dialogue['round']}"
            hint = "name rounds/0/dialogues/*.jsonl of a run"
            raise UserError(
                f"a recorded dialogue {what}", where=f"{where}, line {number}", hint=hint
            )
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


def gather(rounds: Sequence[Sequence[Dialogue]]) -> list[Dialogue]:
    """The dialogues of all rounds in the order of the rounds, sorted by id within each.

    Raises UserError when an id is in two places, and when there is none to train on.
    """
    gathered = [d for dialogues in rounds for d in sorted(dialogues, key=lambda d: d["id"])]
    unique(gathered)
    if not gathered:
        raise UserError(
            "all verified dialogues so far fell to the test side",
            where="config: rounds.split",
            hint="use more seeds, or a smaller test_share",
        )
    return gathered


def unique(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues sorted by id. Raises UserError when an id is there twice."""
    found = sorted(dialogues, key=lambda d: d["id"])
    twice = sorted(i for i, n in Counter(d["id"] for d in found).items() if n > 1)
    if twice:
        raise UserError(
            f"{len(twice)} dialogue ids are there twice: {', '.join(twice[:5])}",
            hint="remove the shard files that were copied or edited by hand, and run again",
        )
    return found
