"""What decides how a dialogue is written, as its job reads it from the config."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How the roles sample. Temperatures per role; max tokens of an answer, per step."""

    questioner_temperature: float
    programmer_temperature: float
    top_p: float
    problem_tokens: int
    solution_tokens: int
    description_tokens: int
    independent_temperature: float = 0.8
    tests_tokens: int = 384


@dataclass(frozen=True)
class Settings:
    """How dialogues are written.

    feedback_rounds: max revisions. run_seed: from which all sampling seeds derive.
    shown_characters: how much of a run's output a message shows. answers: max answers sampled for
    a turn until one can be used. packages: whether the Programmer may have packages installed.
    solutions: max independent solutions. agreeing: how many of them confirm a test.
    corrections: how many of them correct a draft's example.
    tests: max confirmed tests beside the problem's examples. examples: that a problem must state.
    """

    run_seed: int
    feedback_rounds: int
    shown_characters: int
    sampling: Sampling
    answers: int = 1
    packages: bool = False
    solutions: int = 4
    agreeing: int = 2
    corrections: int = 3
    tests: int = 4
    examples: int = 2
    mutants: int = 12

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Settings":
        """From the config's keys `seed`, `dialogues` and `sandbox.packages`."""
        chosen = config["dialogues"]
        keys = ("feedback_rounds", "shown_characters", "answers")
        more = ("solutions", "agreeing", "corrections", "tests", "examples", "mutants")
        return cls(
            run_seed=config["seed"],
            sampling=Sampling(**chosen["sampling"]),
            packages=bool(config["sandbox"]["packages"]["allow"]),
            **{key: chosen[key] for key in keys},
            **{key: chosen[key] for key in more if key in chosen},
        )
