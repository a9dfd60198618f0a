"""The funnel: from mined functions to training examples, every loss under its reason.

Each stage's figures come from its own report. That each stage starts with what the stage before
kept is checked here, so that no item is lost without a reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Stage = tuple[str, int, int, Mapping[str, int]]
"""Name, number in, number kept, losses by reason."""


def funnel(
    seeds: Mapping[str, Any],
    rounds: Sequence[Mapping[str, Any]],
    contamination: Mapping[str, Any],
    tagged: Mapping[str, Any],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """{"stages": [{"stage", "in", "kept", "lost": {reason: count}}]} in the pipeline's order, and
    {"answers": {"asked", "resampled", "cut-off", "refused", ...}} of the models that wrote them: an
    answer that could not be used was asked for again, and is no loss of a stage.

    The arguments are the reports of mining, of each round, of decontamination, tagging, training.
    Raises ValueError when a stage's figures do not add up or do not follow from the one before.
    """
    stages = [*_mining(seeds), *_rounds(seeds["seeds"], rounds)]
    dropped = Counter(row["reason"] for row in contamination["dropped"])
    compared = contamination["compared"]["dialogues"]
    stages.append(("decontaminated", compared, contamination["kept"], dropped))
    kept = tagged["tagged"] + tagged["untagged"]
    stages.append(("tagged", tagged["dialogues"], kept, tagged["dropped"]))
    stages.append(("trained", training["dialogues"], training["examples"], training["dropped"]))
    _check(stages)
    answers: Counter[str] = Counter()
    for report in rounds:
        answers.update(report.get("answers", {}))
    return {
        "answers": dict(sorted(answers.items())),
        "stages": [
            {"stage": name, "in": into, "kept": kept, "lost": dict(sorted(lost.items()))}
            for name, into, kept, lost in stages
        ],
    }


def _mining(report: Mapping[str, Any]) -> list[Stage]:
    snippets = dict(report["snippets"])
    seeds = snippets.pop("seed", 0)
    others = snippets.pop("not-sampled", 0)
    twice = snippets.pop("duplicate", 0)
    distinct = seeds + others
    found = distinct + twice
    return [
        ("mined functions", found + sum(snippets.values()), found, snippets),
        ("deduplicated", found, distinct, _counted("duplicate", twice)),
        ("sampled seeds", distinct, report["seeds"], _counted("not-sampled", others)),
    ]


def _rounds(seeds: int, reports: Sequence[Mapping[str, Any]]) -> list[Stage]:
    total = Counter()
    rejected: Counter[str] = Counter()
    for report in reports:
        total.update({key: report[key] for key in ("dialogues", "verified", "train", "test")})
        rejected.update(report["rejected"])
    written = total["dialogues"]
    return [
        # A run with fewer rounds than shards leaves seeds for later rounds.
        ("dialogues", seeds, written, _counted("not-yet-used", seeds - written)),
        ("verified", written, total["verified"], rejected),
        ("train split", total["verified"], total["train"], _counted("test-split", total["test"])),
    ]


def _counted(reason: str, number: int) -> dict[str, int]:
    return {reason: number} if number else {}


def _check(stages: Sequence[Stage]) -> None:
    before = stages[0][1]
    for name, into, kept, lost in stages:
        if into != before:
            raise ValueError(
                f"funnel: {name} starts with {into}, but the stage before kept {before}"
            )
        if min(lost.values(), default=0) < 0 or into != kept + sum(lost.values()):
            raise ValueError(f"funnel: {name}: {into} in, {kept} kept, lost {dict(lost)}")
        before = kept
