"""Run tests against solutions in one sandbox start, watched from outside the solution's reach."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import module_path
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.languages.shell import shell_only
from aiev.recipes.verification.boxed.controller import patience
from aiev.recipes.verification.separate import Parts
from aiev.sandbox.packages.service import InstallFailed
from aiev.sandbox.request import Request

BOXED = (
    module_path("aiev.recipes.verification.boxed.__init__"),
    module_path("aiev.recipes.verification.boxed.wire"),
    module_path("aiev.recipes.verification.boxed.instrument"),
    module_path("aiev.recipes.verification.boxed.solution_process"),
    module_path("aiev.recipes.verification.boxed.stand_ins"),
    module_path("aiev.recipes.verification.boxed.tests_process"),
    module_path("aiev.recipes.verification.boxed.starter"),
    module_path("aiev.recipes.verification.boxed.reach"),
    module_path("aiev.recipes.verification.boxed.controller"),
)
"""The checker: modules that are copied into the box."""

SECONDS = 4
"""Of CPU time, for one run of the tests; the config's limit if that is less."""
MUTANT_SECONDS = 1
"""The same on a mutant: one that loops counts as killed. More where the solution needs more."""

Key = tuple[int, int]
"""A test: the number of its check in the source, and which time the check ran."""


@dataclass(frozen=True)
class Case:
    """Tests to run against a solution; with stub, its functions return None without being run.

    tests: in place of those of the parts; None for these.
    """

    solution: str
    stub: bool = False
    seconds: int = SECONDS
    tests: str | None = None


@dataclass
class Observation:
    """What was seen of one case.

    results: whether each check held. texts, calls: of each check its source, and the calls of the
    solution's functions since the check before: name, arguments, and what came of it, with the
    arguments that it changed. values: of each check what the last of these calls returned, and
    nothing else, "" if that is too long. objects: the functions that returned an object of a class
    of the solution's own, other than a plain value. ended: whether all statements ran to the end.
    problem: why not: "left", "gone", "raised", "broken", "timed-out" or "lost", with what was said.
    """

    results: dict[Key, bool] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    calls: dict[Key, tuple[tuple[str, str, str], ...]] = field(default_factory=dict)
    values: dict[Key, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    ended: bool = False
    problem: str = ""

    @property
    def held(self) -> bool:
        """Whether the tests came to their end and every check held."""
        return self.ended and not self.problem and all(self.results.values())


@dataclass(frozen=True)
class Repetition:
    """A run of the program as a whole under another hash seed."""

    exit_code: int | None
    stdout: str


def observe(
    interpreter: Interpreter,
    script: Script,
    parts: Parts,
    cases: Sequence[Case],
    hash_seeds: Sequence[int] = (),
) -> tuple[list[Observation], list[Repetition]]:
    """Run `parts.tests` on each case's solution, and the script once under each hash seed.

    A box that ends before its report (the memory limit, say) gives observations with that problem.
    """
    limits = interpreter.limits
    try:
        whole = interpreter.request(script)
    except InstallFailed as failure:
        return _lost(f"lost: {failure}", cases, hash_seeds)
    job = _job(whole, script, parts, cases, hash_seeds, limits.wall_seconds)
    total = 10 + sum(patience(c["seconds"]) for c in job["cases"])
    total += limits.wall_seconds * (len(hash_seeds) + 1)
    checker = {f"boxed/{path.name}": path.read_text("utf-8") for path in BOXED}
    request = Request(
        {**checker, "cases.json": json.dumps(job)},
        ("python", "-m", "boxed.controller"),
        replace(
            limits,
            wall_seconds=total,
            cpu_seconds=int(total) + 1,
            processes=max(limits.processes, 24),
            output_kib=4096,
        ),
        mounts=whole.mounts,
    )
    result = interpreter.sandbox.run(request)
    try:
        found = json.loads(result.stdout) if result.outcome == "passed" else None
    except ValueError:
        found = None
    if found is None and "ModuleNotFoundError" in result.stderr:
        raise UserError(f"the checker does not start in the box: {result.stderr[-500:]}")
    if found is None:
        return _lost(f"lost: {result.outcome}", cases, hash_seeds)
    runs = [Repetition(r["exit_code"], r["stdout"]) for r in found["runs"]]
    return [_observation(case) for case in found["cases"]], runs


def _job(
    whole: Request,
    script: Script,
    parts: Parts,
    cases: Sequence[Case],
    hash_seeds: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """What the checker reads in the box. whole: the request that runs the program as it stands;
    seconds: its limit."""
    shell = shell_only(whole, script.shell) if script.shell else None
    return {
        "cases": [
            {
                "solution": case.solution,
                "tests": parts.tests if case.tests is None else case.tests,
                "imports": list(parts.imports),
                "stub": case.stub,
                "seconds": math.ceil(min(case.seconds, seconds)),
            }
            for case in cases
        ],
        "program": dict(whole.files),
        "command": list(whole.command),
        "hash_seeds": list(hash_seeds),
        "shell": {"files": dict(shell.files), "command": shell.command} if shell else None,
        "seconds": seconds,
    }


def _lost(
    problem: str, cases: Sequence[Case], hash_seeds: Sequence[int]
) -> tuple[list[Observation], list[Repetition]]:
    """What is known where nothing could be observed."""
    return [Observation(problem=problem)] * len(cases), [Repetition(None, "")] * len(hash_seeds)


def _observation(case: dict) -> Observation:
    seen = Observation(problem="" if case["in_time"] else "timed-out")
    checks, calls, value, times = [], [], "", {}
    for kind, *words in case["reports"]:
        if kind == "checks":
            checks = words[0]
        elif kind == "call":
            *call, value = words
            calls.append(tuple(call))
        elif kind == "check":
            number, held, _ = words
            times[number] = times.get(number, 0) + 1
            key = (number, times[number])
            seen.results[key], seen.texts[key] = held, checks[number]["text"]
            seen.calls[key], seen.values[key] = tuple(calls), value
            calls, value = [], ""
        elif kind == "object":
            seen.objects.add(words[0])
        elif kind == "end":
            seen.ended = True
        else:
            seen.problem = seen.problem or ": ".join([kind, *words])
    if not seen.ended and not seen.problem:
        seen.problem = "killed: the tests did not come to their end"
    return seen
