"""Dialogues of more than `training.max_tokens`: counted by their rounds of feedback, and dropped or
trained on without some of their middle rounds (`training.too_long`). Nothing else is ever cut.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TooLong = Literal["drop", "drop-middle-rounds"]


@dataclass
class Counts:
    """What became of conversations that were encoded.

    dropped: by reason. too_long: those longer than the limit, by their rounds of feedback.
    shortened: those of them that were kept, by how many rounds they lost.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    too_long: Counter[int] = field(default_factory=Counter)
    shortened: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Count what another part of the conversations was counted as, too."""
        self.dropped.update(other.dropped)
        self.too_long.update(other.too_long)
        self.shortened.update(other.shortened)

    def as_json(self) -> dict[str, Any]:
        """Of plain dictionaries, sorted; keys are strings, as JSON has them."""
        by_rounds = {"rounds": self.too_long, "shortened": self.shortened}
        return {
            "dropped": dict(sorted(self.dropped.items())),
            "too_long": {
                name: {str(rounds): found[rounds] for rounds in sorted(+found)}
                for name, found in by_rounds.items()
            },
        }


def middle_rounds(row: Mapping[str, Any]) -> int:
    """Rounds that a conversation can lose: all but the first failed attempt and the last answer."""
    return max(0, len(row["failed"]) - 1)


def without_rounds(row: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The conversation without `count` of its middle rounds, the earliest first.

    A round is a failed attempt and the user's answer to it, two messages in either layout. The
    first failed attempt stays, with its error; what follows it is then a later correction.
    """
    gone = {number + answer for number in row["failed"][1 : count + 1] for answer in (0, 1)}
    kept = [number for number in range(len(row["messages"])) if number not in gone]
    failed = set(row["failed"])
    return {
        **row,
        "messages": [row["messages"][number] for number in kept],
        "failed": [new for new, old in enumerate(kept) if old in failed],
    }
