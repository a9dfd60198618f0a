"""Config keys of the evaluation."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from aiev.core.chosen import Chosen
from aiev.core.settings import Section, invalid
from aiev.evaluation.benchmarks import BENCHMARKS
from aiev.evaluation.styles import CHAT
from aiev.sandbox.settings import LimitSettings

BenchmarkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


SUBSETS = ("subset", "subset_share", "subset_ids")
"""Keys one of which says which problems of a benchmark are scored."""


class BenchmarkSettings(Section):
    """`evaluation.benchmarks.*`: keys that every kind of benchmark has."""

    resource: str = Field(description="Declared file with the problems.")
    subset: int | None = Field(
        None,
        ge=1,
        description="Number of problems, chosen by the hash of their ids; null for all.",
    )
    subset_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the problems, in place of their number; chosen likewise.",
    )
    subset_ids: list[str] | None = Field(
        None, min_length=1, description="Ids of the problems, in place of their number."
    )
    known_exceptions: list[str] = Field(
        [],
        description="Tasks whose canonical solution is known to fail; any other failure stops the "
        "run.",
    )
    style: str | None = Field(
        None,
        description="Prompt style of this benchmark; null for that of evaluation.style.",
    )

    @model_validator(mode="after")
    def _check_one_subset(self) -> "BenchmarkSettings":
        given = [key for key in SUBSETS if getattr(self, key) is not None]
        if len(given) > 1:
            raise invalid(f"{' and '.join(given)} choose problems", "keep one of them")
        return self


BENCHMARK = Chosen(BENCHMARKS, "kind", "evalplus", BenchmarkSettings)


class BoxSettings(LimitSettings):
    """`evaluation.scoring.limits`: of a whole scoring run, wider than a dialogue's.

    EvalPlus keeps the expected outputs of all tasks in memory and in a file: for HumanEval+ some
    gigabytes and some hundred megabytes.
    """

    wall_seconds: float = Field(1800, gt=0, description="Wall time, in seconds.")
    cpu_seconds: int = Field(1800, ge=1, description="CPU time of each process, in seconds.")
    memory_mib: int = Field(6144, ge=64, description="Memory of all processes together, in MiB.")
    processes: int = Field(256, ge=4, description="Number of processes and threads.")
    open_files: int = Field(1024, ge=16, description="Number of open files of each process.")
    file_mib: int = Field(1024, ge=1, description="Size of a file, in MiB.")
    disk_mib: int = Field(2048, ge=1, description="Size of the working directory, in MiB.")


class ScoringSettings(Section):
    """`evaluation.scoring`: wide limits, so that scores are the same on every machine."""

    min_time_limit_seconds: float = Field(
        4, gt=0, description="Minimum time limit of one input, in seconds."
    )
    reference_factor: float = Field(
        8,
        ge=1,
        description="Minimum time limit of one input, as a multiple of what the canonical solution "
        "takes on the reference machine (docs/evaluation.md).",
    )
    solution_memory_mib: int = Field(
        4096, ge=64, description="Memory of one solution, in MiB (EvalPlus: 4 GiB)."
    )
    limits: BoxSettings = Field(
        BoxSettings(), description="Limits of the whole scoring run in the sandbox."
    )


class RunRateSettings(Section):
    """`evaluation.run_rate`: how often base and student ask for code to be run, greedily, where
    the prompt asks for it and where it does not."""

    prompts: int = Field(
        0,
        ge=0,
        le=40,
        description="Number of prompts of each of the two kinds; 0 leaves the measure out.",
    )
    max_tokens: int = Field(
        256, ge=1, description="Maximum length of an answer, in tokens; a run has to end in it."
    )


class EvaluationSettings(Section):
    """`evaluation`: greedy pass@1 of base, student and teacher."""

    benchmarks: dict[BenchmarkName, Annotated[dict[str, Any], BENCHMARK]] = Field(
        {"humaneval": {"resource": "humaneval", "known_exceptions": ["HumanEval/32"]}},
        min_length=1,
        description="Benchmarks by name; letters, digits, dots, dashes and underscores.",
    )
    style: str = Field(
        CHAT,
        description="Prompt style in which the models are asked (docs/evaluation.md): chat, which "
        "every benchmark has; evalplus or authors for HumanEval and MBPP, authors for DS-1000, "
        "completion for MultiPL-E.",
    )
    base_styles: list[str] = Field(
        [],
        description="More styles in which the base is scored, beside the student: a student that "
        "has only learnt a format is then seen. A benchmark without such a style is left out.",
    )
    max_tokens: int = Field(768, ge=1, description="Maximum length of an answer, in tokens.")
    interpreter: bool = Field(
        False,
        description="Score the models once more with the interpreter on, each benchmark apart from "
        "the greedy pass@1.",
    )
    max_runs: int = Field(
        4, ge=1, description="Runs of code before an answer, with the interpreter on."
    )
    run_rate: RunRateSettings = Field(
        RunRateSettings(), description="How often base and student ask for code to be run."
    )
    scoring: ScoringSettings = Field(
        ScoringSettings(), description="Limits under which answers are judged."
    )
