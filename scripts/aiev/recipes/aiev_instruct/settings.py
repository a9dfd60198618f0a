"""Config keys of dialogues: how they are written."""

from typing import Literal

from pydantic import Field

from aiev.core.settings import Section
from aiev.recipes.aiev_instruct.prompt_sets import PromptSetName


class Sampling(Section):
    """`dialogues.sampling`: how the model is sampled in its two roles."""

    questioner_temperature: float | None = Field(
        0.7, ge=0, description="Sampling temperature of the Questioner."
    )
    solution_temperature: float | None = Field(
        0,
        ge=0,
        description="Temperature of the Programmer's first answer to a problem, 0 for greedy; one "
        "that has to be asked again is sampled with programmer_temperature.",
    )
    programmer_temperature: float | None = Field(
        0.5,
        ge=0,
        description="Temperature of the Programmer's tests, revisions, and answers that are asked "
        "for again.",
    )
    top_p: float | None = Field(
        0.95,
        gt=0,
        le=1,
        description="Nucleus sampling (top-p) of both roles; null leaves it out of requests.",
    )
    problem_tokens: int = Field(
        512, ge=1, description="Maximum length of a problem description, in tokens."
    )
    solution_tokens: int = Field(
        2048,
        ge=1,
        description="Maximum length of a solution with its tests, and of a revision, in tokens.",
    )
    description_tokens: int = Field(
        256, ge=1, description="Maximum length of the description of an error, in tokens."
    )
    independent_temperature: float = Field(
        0.8, gt=0, description="Temperature of the independent solutions that confirm tests."
    )
    tests_tokens: int = Field(
        512, ge=1, description="Maximum length of the Programmer's tests, in tokens."
    )


class DialogueSettings(Section):
    """`dialogues`."""

    language: Literal["python"] = Field(
        "python", description="Language of the programs; AIEV-Instruct writes and checks Python."
    )
    prompts: PromptSetName = Field(
        "small",
        min_length=1,
        description="The prompt set: small (easy exercises, for teachers of about 0.5B to 1.5B), "
        "strong (realistic problems, for strong teachers), or the path of a directory of your own.",
    )
    feedback_rounds: int = Field(
        7, ge=0, description="Maximum number of feedback rounds after the first solution (paper 7)."
    )
    answers: int = Field(
        3,
        ge=1,
        description="Maximum number of answers sampled for a turn until one can be used: a problem "
        "with examples, an answer with a program, none cut by the token limit.",
    )
    solutions: int = Field(
        4,
        ge=0,
        description="Maximum number of independent solutions that are asked for to confirm tests.",
    )
    agreeing: int = Field(
        2, ge=0, description="Independent solutions that have to pass a test to confirm it."
    )
    corrections: int = Field(
        3,
        ge=0,
        description="Independent solutions that have to give the same other result to correct an "
        "example of a problem's draft; 0 corrects none, and such a problem is dropped.",
    )
    tests: int = Field(
        4, ge=0, description="Maximum number of confirmed tests beside the problem's examples."
    )
    examples: int = Field(2, ge=0, description="Examples that a problem has to state.")
    mutants: int = Field(
        12, ge=0, description="Maximum number of mutants of a solution that its tests run on."
    )
    mutated_inputs: int = Field(
        16,
        ge=0,
        description="Maximum number of calls like those of the tests on which the independent "
        "solutions are compared with the dialogue's own.",
    )
    shown_characters: int = Field(
        800, ge=100, description="Maximum number of characters of a run's output in a message."
    )
    sampling: Sampling = Field(Sampling(), description="How the model is sampled in its two roles.")
