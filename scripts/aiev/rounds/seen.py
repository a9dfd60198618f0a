"""Test problems that an earlier student was trained on, which the next student goes on from."""

from collections.abc import Sequence
from dataclasses import replace

from aiev.core.log import log
from aiev.core.types import Dialogue
from aiev.dataset.near_tests import nearest_tests
from aiev.rounds.splits import Split


def without_seen(split: Split, earlier: Sequence[Dialogue], threshold: float) -> Split:
    """Move the test problems that nearly repeat an earlier round's training dialogue to the
    training side: the student's weights know them already.

    earlier: training dialogues of all rounds before. threshold: similarity, as for benchmarks.
    """
    found = nearest_tests(split.test, earlier, threshold)
    seen = [test for test, near in zip(split.test, found, strict=True) if near]
    if not seen:
        return split
    log.info("%d test problems repeat training dialogues of earlier rounds: moved", len(seen))
    train = sorted([*split.train, *seen], key=lambda dialogue: dialogue["id"])
    test = [test for test, near in zip(split.test, found, strict=True) if not near]
    counts = {"train": len(train), "test": len(test), "seen_by_student": len(seen)}
    return replace(split, train=train, test=test, report={**split.report, **counts})
