"""The split of a round: verified dialogues into test and train, by a stable hash of their ids."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from aiev.digests import of_text
from aiev.errors import UserError
from aiev.records import Dialogue


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


def split_round(dialogues: Iterable[Dialogue], test_share: float, salt: str) -> Split:
    """Split the verified dialogues of a round; the others are counted by their reason.

    test_share: share that becomes test problems, in [0, 1).
    Raises UserError for a repeated id, and when no dialogue is left to train on.
    """
    dialogues = unique(dialogues)
    reasons = Counter(d["reason"] for d in dialogues if d["verdict"] != "verified")
    verified = [d for d in dialogues if d["verdict"] == "verified"]
    if not verified:
        raise UserError(
            f"no dialogue of the round is verified; {len(dialogues)} were rejected: "
            f"{dict(sorted(reasons.items()))}",
            todo="read the dialogues' reasons; a stronger teacher or more seeds would help",
        )
    test = [d for d in verified if is_test(d["id"], test_share, salt)]
    train = [d for d in verified if not is_test(d["id"], test_share, salt)]
    if not train:
        raise UserError(
            f"all {len(verified)} verified dialogues of the round fell to the test side",
            todo="use more seeds, or a smaller test_share",
        )
    counts = {"dialogues": len(dialogues), "verified": len(verified), "rejected": dict(reasons)}
    return Split(train, test, {**counts, "train": len(train), "test": len(test)})


def gather(rounds: Sequence[Sequence[Dialogue]]) -> list[Dialogue]:
    """The dialogues of all rounds in the order of the rounds, sorted by id within each.

    Raises UserError when an id is in two places.
    """
    gathered = [d for dialogues in rounds for d in sorted(dialogues, key=lambda d: d["id"])]
    unique(gathered)
    return gathered


def unique(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues sorted by id. Raises UserError when an id is there twice."""
    found = sorted(dialogues, key=lambda d: d["id"])
    twice = sorted(i for i, n in Counter(d["id"] for d in found).items() if n > 1)
    if twice:
        raise UserError(
            f"{len(twice)} dialogue ids are there twice: {', '.join(twice[:5])}",
            todo="remove the shard files that were copied or edited by hand, and run again",
        )
    return found
