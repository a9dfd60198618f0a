"""The config of a run: all sections together.

Everything decides results and is hashed, except the section `execution`.
"""

from typing import Annotated, Any

from pydantic import Field

from aiev.core.chosen import Chosen
from aiev.core.settings import Section
from aiev.dataset.settings import DecontaminationSettings, TagSettings
from aiev.evaluation.settings import EvaluationSettings
from aiev.llm.settings import STUDENT, TEACHER, Budget, Ledger, Price, Server
from aiev.recipes import RECIPES
from aiev.recipes.settings import SharedSettings
from aiev.recipes.verification.settings import Policy
from aiev.rounds.settings import DuelSettings, GateSettings, RoundSettings
from aiev.sandbox.settings import Containers, SandboxSettings
from aiev.seeds.settings import SeedSettings
from aiev.training.settings import TrainingExecution, TrainingSettings

RECIPE = Chosen(RECIPES, "recipe", "aiev-instruct", SharedSettings)


class Models(Section):
    """`models`."""

    teacher: Annotated[dict[str, Any], TEACHER] = Field(
        {"name": "qwen2.5-coder-0.5b", "resource": "qwen2.5-coder-0.5b"},
        description="The model that writes the dialogues.",
    )
    student: Annotated[dict[str, Any], STUDENT] = Field(
        {"name": "smollm2-135m", "resource": "smollm2-135m"},
        description="The model that is trained on the dialogues.",
    )


class Servers(Section):
    """`execution.models`."""

    teacher: Server = Field(Server(), description="How the teacher is served.")
    student: Server = Field(
        Server(), description="How the student is served, before training and after."
    )


class Plan(Section):
    """`execution.plan`: the assumptions of `aiev plan`; null for what is not known."""

    accelerator_gib: float | None = Field(
        None, gt=0, description="Memory of one accelerator, in GiB (A100: 40 or 80)."
    )
    accelerator_tflops: float | None = Field(
        None,
        gt=0,
        description="Peak of one accelerator in training.precision, in 10^12 operations a second "
        "(A100 in bfloat16: 312).",
    )
    mfu: float = Field(
        0.35,
        gt=0,
        le=1,
        description="Share of the peak that training reaches (model FLOPs utilisation).",
    )
    tokens_per_second: float | None = Field(
        None,
        gt=0,
        description="Tokens that one slot of a model server writes a second, with all slots at "
        "work and the reading of prompts counted in.",
    )


class Execution(Section):
    """`execution`: how a run is carried out. Nothing here is hashed, so that no change makes a
    result stale; three keys decide which questions end without an answer."""

    ledger: Ledger = Field(Ledger(), description="The store of all answers of models.")
    prices: dict[str, Price] = Field(
        {},
        description="What models cost, by the names by which they are asked; others cost nothing.",
    )
    budget: Budget = Field(
        Budget(), description="Maximum that may be spent through this ledger, over all runs."
    )
    max_wait_seconds: float = Field(
        1800,
        ge=0,
        description="Maximum time for which a busy model server is waited for, for one question.",
    )
    max_unknown_failures: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of questions at which a model server may fail for an unknown reason, "
        "which rejects the item; above it the run stops. Up to five are allowed in any case.",
    )
    preflight: bool = Field(
        True,
        description="Before the first dialogue, ask each model that is served elsewhere one short "
        "question, and check that the student's tokenizer and chat template are fit for training, "
        "that vllm is here in a version that can serve it, and that PyTorch is built for the "
        "accelerator.",
    )
    in_flight: int = Field(
        4,
        ge=1,
        description="Number of dialogues written at the same time. A local server keeps two "
        "prompts for each.",
    )
    scoring_slots: int = Field(
        2, ge=1, description="Number of a benchmark's solutions judged at the same time."
    )
    containers: Containers = Field(
        Containers(), description="The docker backend's pool of containers."
    )
    models: Servers = Field(Servers(), description="How the models are served.")
    training: TrainingExecution = Field(
        TrainingExecution(), description="How trainings are carried out."
    )
    plan: Plan = Field(Plan(), description="Assumptions of `aiev plan`.")


class RunConfig(Section):
    """A run of the AIEV-Instruct / AutoCoder pipeline."""

    name: str = Field(
        "laptop",
        max_length=100,
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        description="Name of the run, whose files are in results/{name}: lower-case letters, "
        "digits, dots, dashes and underscores.",
    )
    seed: int = Field(
        1,
        ge=0,
        description="The run's seed; every sampling seed is derived from it, the dialogue's id and "
        "the turn.",
    )
    models: Models = Field(
        Models(), description="The teacher, which writes dialogues, and the student."
    )
    seeds: SeedSettings = Field(
        SeedSettings(), description="Where snippets come from, and which are used."
    )
    rounds: RoundSettings = Field(RoundSettings(), description="Rounds of dialogues.")
    duel: DuelSettings = Field(
        DuelSettings(),
        description="Teacher and student solve a round's test problems, given the description "
        "only.",
    )
    gate: GateSettings = Field(
        GateSettings(), description="When the student takes the teacher's place."
    )
    dialogues: Annotated[dict[str, Any], RECIPE] = Field(
        {}, description="How a dialogue is written: a recipe and its keys."
    )
    verification: Policy = Field(
        Policy(),
        description="What a dialogue has to show to be verified. Dialogues are judged when their "
        "round is closed, so that another policy rewrites none.",
    )
    sandbox: SandboxSettings = Field(
        SandboxSettings(), description="Where model-written code runs."
    )
    decontamination: DecontaminationSettings = Field(
        DecontaminationSettings(),
        description="Dialogues too close to a benchmark problem are dropped. This cannot be "
        "switched off.",
    )
    tags: TagSettings = Field(
        TagSettings(), description="How verified dialogues become tagged training data."
    )
    training: TrainingSettings = Field(
        TrainingSettings(), description="Fine-tuning of the student with DeepSpeed."
    )
    evaluation: EvaluationSettings = Field(
        EvaluationSettings(), description="Greedy pass@1 of base, student and teacher."
    )
    execution: Execution = Field(
        Execution(),
        description="How the run is carried out: addresses, servers, parallel work, costs. No "
        "change here makes a result stale, as one of any other key does. Three keys still decide "
        "which questions end without an answer (`request-failed`) where a server fails: "
        "max_unknown_failures, max_wait_seconds and models.<role>.timeout_seconds.",
    )

    def filled(self) -> dict[str, Any]:
        """The config as a plain dictionary with all defaults."""
        return self.model_dump()
