"""The records that the pipeline passes on: seeds, dialogues and what was run."""

from typing import Any, Literal, NotRequired, TypedDict

Outcome = Literal[
    "passed", "failed", "timed-out", "out-of-memory", "crashed", "install-failed", "output-cut"
]
Kind = Literal["problem", "solution", "stderr", "description", "revision", "stdout"]


class Source(TypedDict):
    """Where a seed comes from: `name` of the source, `path` in it, `licence` (SPDX)."""

    name: str
    path: str
    licence: str


class Seed(TypedDict):
    """A snippet of open-source code or prose.

    id: the first 16 hex digits of its text's digest. language: in lower case, "text" for prose.
    """

    id: str
    text: str
    name: str
    language: str
    source: Source


class Message(TypedDict):
    """One turn of a dialogue; `kind` is its step in METHOD 1."""

    role: Literal["user", "assistant", "interpreter"]
    kind: Kind
    content: str


class Execution(TypedDict):
    """One run in the sandbox."""

    exit_code: int | None
    outcome: Outcome
    stdout: str
    stderr: str


class Dialogue(TypedDict):
    """One dialogue, passed or not.

    verdict: "candidate" where its tests passed, until a policy has judged its evidence when its
    round is closed; then "verified" or "rejected". reason: why it was rejected, or "".
    evidence: what the verdict rests on (aiev.recipes.verification.evidence); records of earlier
    versions have none.
    solution and tests: the last version of each; `entry_point` is the function that tests call.
    independent: other solutions of the problem, which voted on its tests: {"solution", "draft"
    (of the problem before its examples were corrected), "passes" (all tests; null: not tried)}.
    seed_ideas: what the problem or its solution takes up of the seed (aiev.recipes.variety).
    seed: {"id", "source", "licence"}. packages: {"name", "version", "sha256"} of each installed.
    """

    id: str
    seed: dict[str, Any]
    round: int
    stage: Literal["teaching", "self-learning"]
    model: str
    messages: list[Message]
    entry_point: str
    solution: str
    tests: str
    packages: list[dict[str, str]]
    executions: list[Execution]
    evidence: NotRequired[dict[str, Any]]
    seed_ideas: NotRequired[list[str]]
    independent: NotRequired[list[dict[str, Any]]]
    verdict: Literal["candidate", "verified", "rejected"]
    reason: str
