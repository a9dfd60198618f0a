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
        2, ge=0, description="Independent solutions that must agree with each test."
    )
    min_alike: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of the independent solutions with the solution's own outputs to all "
        "calls of the tests.",
    )
    min_inputs_alike: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of the mutated inputs on which at least the share min_alike of the "
        "independent solutions give the solution's own output.",
    )
    min_killed: float = Field(
        0.5, ge=0, le=1, description="Share of the solution's mutants that the tests must kill."
    )
