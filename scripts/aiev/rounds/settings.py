"""Config keys of rounds, of the duel, and of the gate."""

from typing import Literal

from pydantic import Field

from aiev.core.settings import Section


class SplitSettings(Section):
    """`rounds.split`."""

    test_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the verified dialogues that become test problems (paper 0.1).",
    )
    minimum_test: int = Field(
        0,
        ge=0,
        description="Minimum number of test problems of a round, for rounds so small that the "
        "share may be none. One verified dialogue always stays for training.",
    )
    salt: str = Field(
        "split", description="Part of the hash that decides; another word gives another split."
    )


class RoundSettings(Section):
    """`rounds`."""

    count: int = Field(
        1,
        ge=1,
        description="Number of rounds. Raising it makes the new rounds only, as long as there are "
        "shards.",
    )
    dialogues: int = Field(
        24, ge=1, description="Dialogues of a round, one per seed, in whole shards (paper 2000)."
    )
    recorded: str | None = Field(
        None,
        description="JSON Lines file with dialogues of another run that are the first round; null "
        "writes them.",
    )
    train_from: Literal["base", "previous"] = Field(
        "base",
        description="Checkpoint from which each round's training starts; its data are all "
        "dialogues so far.",
    )
    self_learning: bool = Field(
        True,
        description="Let the student write dialogues once the gate is open; false for the "
        "teaching-only ablation.",
    )
    minimum_yield: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Minimum share of verified dialogues in a self-learning round; below it the "
        "run stops.",
    )
    split: SplitSettings = Field(
        SplitSettings(), description="How the verified dialogues of a round are split."
    )


class DuelSettings(Section):
    """`duel`."""

    max_tokens: int = Field(512, ge=1, description="Maximum length of an answer, in tokens.")
    samples: int = Field(
        0, ge=0, description="Answers sampled for each problem in addition to the greedy one."
    )
    temperature: float = Field(0.8, ge=0, description="Temperature of these samples.")


class GateSettings(Section):
    """`gate`: by default the paper's rule."""

    margin: float = Field(
        0,
        ge=0,
        lt=1,
        description="The student's pass@1 must exceed the teacher's by more than this.",
    )
    confidence: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Confidence level of the win, by McNemar's test and by the interval; null for "
        "no test.",
    )
    minimum_problems: int = Field(
        1,
        ge=1,
        description="Minimum number of problems; with fewer, the gate stays as it was.",
    )
    revert: bool = Field(
        False, description="Close the gate again when the student falls behind the teacher."
    )
