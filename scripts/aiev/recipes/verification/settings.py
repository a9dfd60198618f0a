"""Config keys of verification: the policy that turns evidence into a verdict."""

from typing import Literal

from pydantic import Field

from aiev.core.settings import Section


class Policy(Section):
    """`verification`: what a dialogue has to show to be verified."""

    policy: Literal["paper", "examples", "consensus"] = Field(
        "consensus",
        description="Evidence that a verified dialogue needs: paper, examples or consensus.",
    )
    min_tests: int = Field(2, ge=1, description="Different tests that ran and can fail.")
    min_examples: int = Field(2, ge=0, description="Examples that a problem has to state.")
    max_corrected: int = Field(
        3,
        ge=0,
        description="Examples of the draft that independent solutions may have corrected.",
    )
    min_agreeing: int = Field(
        2,
        ge=0,
        description="Independent solutions that must count, and agree with each test. Those count "
        "that keep all of the problem's examples and run.",
    )
    min_alike: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of the independent solutions that count with the solution's own outputs "
        "to all calls of the tests.",
    )
    min_alike_corrected: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The same for a problem with corrected examples, where all independent "
        "solutions that run count.",
    )
    min_inputs: int = Field(
        0, ge=0, description="Mutated inputs on which the outputs must have been compared."
    )
    min_inputs_alike: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the compared mutated inputs on which at least the share min_alike of "
        "the independent solutions that count give the solution's own output.",
    )
    min_killed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the solution's mutants that the tests must kill. Above 0, a dialogue "
        "without mutants is weak-tests: set 0 where dialogues.mutants is 0.",
    )
