"""Verdicts by EvalPlus's rules, with the comparison out of the solution's reach.

Each solution runs in a sandbox of its own, on the inputs alone (`execution.py`). What it returned
is compared outside with the oracle's outputs (`compare.py`, `oracle.py`). So a solution cannot
patch the comparison, read what is expected, or reach another task; one that ends early has answered
too few inputs. Limits count CPU time, as long as the reference machine takes (`evaluation.speed`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import isfinite
from typing import Any

from aiev.evaluation.benchmarks.base import EvaluatorCrashed, ScoringLimits, Task, Verdict
from aiev.evaluation.evalplus import execution
from aiev.evaluation.evalplus.compare import first_wrong
from aiev.evaluation.evalplus.oracle import CRASH_HINT, PHASES, Oracle, oracles, returns_of
from aiev.evaluation.evalplus.problems import UNPASSABLE, canonical_of, dataset_of
from aiev.evaluation.speed import MAX_SLOWDOWN, NOISE, slowdown
from aiev.sandbox.request import Result, Sandbox

LONGER, ROOM = 20, 1 << 20
"""A long value's line may have so many times the right one's characters, and so many more; one that
is longer is wrong. NumPy's numbers and fractions take 10 to 17 times those of plain ones."""
TOO_LONG = ("output-cut", "out-of-memory")
"""How the canonical solution ends where its own value is longer than can be handed over: half a
gigabyte. There a value is right by its digest alone."""
RETRIES = 2
"""Of what ran into a limit on a machine that is slower than the reference."""


def judge(
    problems: Sequence[Task],
    solutions: Mapping[str, str],
    sandbox: Sandbox,
    limits: ScoringLimits,
    phases: Sequence[str] = PHASES,
) -> dict[str, Verdict]:
    """Verdicts on one solution for each problem, in the problems' order.

    phases: of the inputs that count, `base` alone or `plus` too.
    A solution that ends its own observer has failed. Raises EvaluatorCrashed when the canonical
    solution does not get through either: then nothing is known about the solutions.
    """
    dataset_of(problems)
    with ThreadPoolExecutor(limits.parallel) as pool:

        def parallel(function: Callable[[Task], Any], tasks: Iterable[Task]) -> list[Any]:
            futures = [pool.submit(function, task) for task in tasks]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()

        found = oracles(problems, sandbox, parallel)

        def one(problem: Task) -> Verdict:
            task_id = problem["task_id"]
            oracle = found[task_id]

            def own(factor: float = 1.0) -> dict[str, execution.Phase]:
                names = (name for name in phases if name in oracle.inputs)
                return {name: _phase(name, oracle, limits, factor) for name in names}

            return _judge(problem, solutions[task_id], oracle, own, sandbox, limits)

        verdicts = parallel(one, problems)
    return {p["task_id"]: verdict for p, verdict in zip(problems, verdicts, strict=True)}


def _judge(
    problem: Task,
    solution: str,
    oracle: Oracle,
    phases_of: Callable[..., dict[str, execution.Phase]],
    sandbox: Sandbox,
    limits: ScoringLimits,
) -> Verdict:
    """phases_of: the phases, under limits for a machine that is slower by a factor."""
    phases = phases_of()
    run = partial(
        execution.run,
        entry_point=problem["entry_point"],
        returns=returns_of(problem),
        phases=phases,
        sandbox=sandbox,
        memory_mib=limits.solution_memory_mib,
    )
    seen, result = run(solution)
    if seen and any(each.outcome == "timed-out" for each in seen.values()):
        seen = _on_a_slow_machine(run, solution, phases_of, sandbox, seen)
    if seen is None or any(each.outcome == "crashed" for each in seen.values()):
        control, its = run(canonical_of(problem))
        if control is None or any(each.outcome == "crashed" for each in control.values()):
            raise _crashed(problem, its)
    if seen is None:
        named = ("timed-out", "out-of-memory", "output-cut")
        outcome = result.outcome if result.outcome in named else "crashed"
        seen = {name: execution.Seen(outcome, 0.0, (), ()) for name in phases}

    def whole(name: str, number: int) -> tuple[str, str]:
        return _whole(run, problem, solution, name, phases_of(MAX_SLOWDOWN)[name], number)

    outcomes = {
        name: _outcome(problem, name, oracle, each, partial(whole, name))
        for name, each in seen.items()
    }
    ran = "base" not in seen or len(seen["base"].lines) == len(oracle.expected["base"])
    verdict = _verdict(problem, solution, outcomes, sum(each.seconds for each in seen.values()))
    return replace(verdict, ran=ran)


def _whole(
    run: Callable[..., tuple[dict[str, execution.Seen] | None, Result]],
    problem: Task,
    solution: str,
    name: str,
    phase: execution.Phase,
    number: int,
) -> tuple[str, str]:
    """A long value of the solution and of the canonical one, each run once more up to that input;
    a digest of what is longer than a right value can be, or is not there.

    Raises EvaluatorCrashed where the canonical solution does not get through.
    """
    # Time has decided already; what is asked now is the value.
    last = number + 1
    asked = replace(phase, inputs=phase.inputs[:last], limits=phase.limits[:last], whole=number)
    control, its = run(canonical_of(problem), phases={name: asked})
    if control is None or control[name].outcome not in ("passed", *TOO_LONG):
        raise _crashed(problem, its)
    right = _line(control[name], number)
    if right[:1] == "#":
        return right, right
    most = min(asked.whole_chars, LONGER * len(right) + ROOM)
    own, _ = run(solution, phases={name: replace(asked, whole_chars=most)})
    return "#" if own is None else _line(own[name], number), right


def _line(seen: execution.Seen, number: int) -> str:
    return seen.lines[number] if number < len(seen.lines) else "#"


def _on_a_slow_machine(
    run: Callable[..., tuple[dict[str, execution.Seen] | None, Result]],
    solution: str,
    phases_of: Callable[..., dict[str, execution.Phase]],
    sandbox: Sandbox,
    seen: dict[str, execution.Seen],
) -> dict[str, execution.Seen]:
    """What a solution does under limits for the machine's speed, in the phases that ran into their
    limit: the speed is measured before and after, and the faster of the two counts. Other phases
    stay as they were seen, and so do all from where a run is broken off."""
    late = [name for name, each in seen.items() if each.outcome == "timed-out"]
    before = slowdown(sandbox)
    for _ in range(RETRIES):
        if before <= NOISE:
            break
        longer = phases_of(before)
        again, _ = run(solution, phases={name: longer[name] for name in late})
        if again is None:
            break
        after = slowdown(sandbox)
        allowed = phases_of(min(before, after))
        seen = seen | {name: _in_time(each, allowed[name]) for name, each in again.items()}
        late = [name for name, each in again.items() if each.outcome == "timed-out"]
        if not late or after <= before * NOISE:
            break
        before = after
    return seen


def _in_time(seen: execution.Seen, phase: execution.Phase) -> execution.Seen:
    """The same, ended at the first answer that took longer than this phase allows."""
    pairs = zip(seen.times, phase.limits, strict=False)
    late = next((n for n, (seconds, limit) in enumerate(pairs) if seconds > limit), None)
    if late is None and seen.seconds <= phase.cpu_seconds:
        return seen
    return replace(seen, outcome="timed-out", times=seen.times[:late], lines=seen.lines[:late])


def _phase(name: str, oracle: Oracle, limits: ScoringLimits, slower: float) -> execution.Phase:
    least, factor = limits.min_time_limit_seconds, limits.reference_factor
    times = [slower * max(least, factor * seconds) for seconds in oracle.seconds[name]]
    return execution.phase(oracle.inputs[name], times, slower)


def _outcome(
    problem: Task,
    phase: str,
    oracle: Oracle,
    seen: execution.Seen,
    whole: Callable[[int], tuple[str, str]],
) -> tuple[str, int | None]:
    """(outcome, number of the input that failed) of a phase."""
    expected = oracle.expected[phase]
    wrong = first_wrong(
        problem["entry_point"], oracle.inputs[phase], seen.lines, expected, problem["atol"], whole
    )
    if wrong is not None:
        return "failed", wrong
    if len(seen.lines) != len(expected):
        return ("failed" if seen.outcome == "passed" else seen.outcome), len(seen.lines)
    return ("passed", None) if seen.outcome == "passed" else (seen.outcome, None)


def _verdict(
    problem: Task, solution: str, outcomes: Mapping[str, tuple[str, int | None]], seconds: float
) -> Verdict:
    if problem["task_id"] in UNPASSABLE:
        outcomes = dict.fromkeys(outcomes, ("unpassable", None))
    passed = {name: outcome == "passed" for name, (outcome, _) in outcomes.items()}
    base = passed.get("base", True)
    plus = base and passed["plus"] if "plus" in passed else None
    first = next((outcome for outcome, _ in outcomes.values() if outcome != "passed"), "passed")
    row: dict[str, Any] = {"solution": solution}
    for name in ("base", "plus"):
        _, number = outcomes.get(name, ("", None))
        failed = [] if number is None else problem[f"{name}_input"][number : number + 1]
        row[f"{name}_fail_tests"] = _finite(failed)
    # EvalPlus's row says of `plus` whether the further inputs alone passed.
    row["plus_status"] = {True: "pass", False: "fail", None: None}[passed.get("plus")]
    return Verdict(base, plus, first, row, seconds)


def _crashed(problem: Task, result: Result) -> EvaluatorCrashed:
    said = result.stderr.strip()[-1000:] or "nothing on stderr"
    return EvaluatorCrashed(
        f"the judge did not finish: {result.outcome}: {said}",
        where=problem["task_id"],
        hint=CRASH_HINT,
    )


def _finite(value: Any) -> Any:
    """The same value with NaN and infinities as text: JSON has none."""
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value
