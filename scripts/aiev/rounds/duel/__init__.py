"""The duel: teacher and student solve a round's test problems, judged by the hidden tests.

METHOD 2, after AIEV-Instruct (arXiv 2405.14906): a problem's description alone goes in, code comes
out, and the unit tests of its dialogue, which neither model is shown, run on it in the sandbox.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiev.core.hashing import of_json, of_text
from aiev.core.log import Progress, log
from aiev.core.templates import render
from aiev.core.types import Dialogue
from aiev.evaluation.answers import counts, unusable
from aiev.evaluation.stats import Paired, comparison, mean_interval, rounded, share
from aiev.evaluation.styles import Style
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.languages.python.blocks import code_block
from aiev.languages.python.functions import BROKEN, parse
from aiev.languages.python.program import missing_imports, undisclosed_names
from aiev.recipes.verification.observe import Case, observe
from aiev.recipes.verification.separate import Parts, separate

Problem = dict[str, Any]
Answers = dict[str, list[dict[str, Any]]]
"""Rows of `evaluation.generate` by the problem's id: the greedy one first, then the samples."""

MODELS = ("teacher", "student")
NO_CODE = "no-code"
"""Outcome of an answer without a program. One that is cut off, refused, ... has that word for its
outcome (`evaluation.answers.unusable`); the other outcomes are the sandbox's."""

UNDISCLOSED = "undisclosed-name"
"""Why a problem is excluded: its tests call something besides the entry point that the reference
defines and the description does not name, so that an answer could pass by chance only."""


def duel_prompt(problem: Problem) -> str:
    """The question for a test problem: its description alone."""
    return render(__file__, "duel", prompt=problem["prompt"].strip())


def program_in(answer: str, _problem: Problem | None = None) -> str:
    """The program of an answer as it stands: its longest block of Python, or all of an answer that
    is nothing but Python; "" without a program.

    A benchmark's sanitizer would drop decorators' imports, generators, and statements at module
    level, which the duel's problems may need.
    """
    program = code_block(answer)
    if program is not None:
        return program
    try:
        parse(answer)
    except BROKEN:
        return ""
    return answer.strip("\n")


STYLE = Style(duel_prompt, program_in)
"""How the duel's problems are put to a model."""


def problems_of(test: Iterable[Dialogue]) -> list[Problem]:
    """A round's test dialogues as problems; a model is shown the `prompt` alone."""
    return [
        {
            "task_id": dialogue["id"],
            "prompt": dialogue["messages"][0]["content"],
            "entry_point": dialogue["entry_point"],
            "reference": dialogue["solution"],
            "tests": dialogue["tests"],
            "packages": dialogue["packages"],
        }
        for dialogue in test
    ]


def sample_seed(run_seed: int, problem_id: str, number: int) -> int:
    """Sampling seed of a problem's answer, 31 bits; the greedy answer needs none."""
    return int(of_json(["duel", run_seed, problem_id, number])[:8], 16) & 0x7FFFFFFF


def judge(problem: Problem, solution: str, interpreter: Interpreter) -> str:
    """Run a solution under the problem's hidden tests; -> the outcome.

    A program that ends before the tests do has not passed them, whatever its exit code is: the
    line after the last test has to be printed. One that prints it has still to hold under watched
    tests, which a solution cannot reach (`recipes.verification`), wherever the reference does. The
    tests' own imports are added: the answer need not have them. Tests that the answer brings along
    decide nothing: where the whole program fails, it is judged without them, too.
    """
    if not solution.strip():
        return NO_CODE
    outcome = _outcome(problem, solution, interpreter)
    if outcome == "passed":
        return outcome
    bare = _without_own_tests(solution)
    if bare and _outcome(problem, bare, interpreter) == "passed":
        return "passed"
    return outcome


def _outcome(problem: Problem, solution: str, interpreter: Interpreter) -> str:
    end = of_text(f"{problem['task_id']}\n{problem['tests']}")
    needed = missing_imports(problem["reference"], solution)
    code = f"{solution}\n\n\n{needed}{problem['tests']}\nprint()\nprint({end!r})\n"
    result = interpreter.run(Script(code, packages=tuple(problem["packages"])))
    if result.outcome != "passed":
        return result.outcome
    honest = result.stdout.endswith(f"\n{end}\n") and _holds(problem, solution, code, interpreter)
    return "passed" if honest else "failed"


def _holds(problem: Problem, solution: str, code: str, interpreter: Interpreter) -> bool:
    """Whether the tests hold when they run in a process of their own, and no function returns an
    object of a class of its own where the reference's returns none.

    True also where they do not hold on the reference: then they need to share a process with what
    they test, as tests do that fill a table of the solution's.
    """
    imports = tuple(missing_imports(problem["reference"], "").splitlines())
    parts = Parts(solution, problem["tests"], imports, problem["entry_point"])
    script = Script(code, packages=tuple(problem["packages"]))
    seconds = math.ceil(interpreter.limits.wall_seconds)
    cases = [Case(solution, seconds=seconds), Case(problem["reference"], seconds=seconds)]
    (own, reference), _ = observe(interpreter, script, parts, cases)
    # The operators of an object of its own decide as it likes: of `f(1) - 7`, or `7 in f(1)`.
    honest = own.held and own.objects <= reference.objects
    return honest or not reference.held


def _without_own_tests(solution: str) -> str:
    """The solution without what `separate` takes for tests; "" where nothing changes."""
    try:
        parts = separate(solution)
    except SyntaxError:
        return ""
    return parts.solution if parts.tests.strip() else ""


def judge_all(
    problems: Sequence[Problem],
    solutions: Mapping[str, Sequence[str]],
    interpreter: Interpreter,
    what: str,
) -> dict[str, list[str]]:
    """Outcomes of each problem's solutions, by its id, as many at once as there are cores."""
    pairs = [(problem, text) for problem in problems for text in solutions[problem["task_id"]]]
    with (
        Progress(f"judging {what}", len(pairs), "answer") as progress,
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):

        def one(pair: tuple[Problem, str]) -> str:
            outcome = judge(*pair, interpreter)
            progress.step()
            return outcome

        outcomes = list(pool.map(one, pairs))
    found: dict[str, list[str]] = {problem["task_id"]: [] for problem in problems}
    for (problem, _), outcome in zip(pairs, outcomes, strict=True):
        found[problem["task_id"]].append(outcome)
    return found


def solvable_problems(
    problems: Sequence[Problem], interpreter: Interpreter
) -> tuple[list[Problem], dict[str, str]]:
    """Split off the problems that no correct answer could solve.

    -> the solvable ones, and why each other one is not, by id: the outcome of its own reference
    solution, when that no longer passes, or `UNDISCLOSED`.
    """
    references = {problem["task_id"]: [problem["reference"]] for problem in problems}
    outcomes = judge_all(problems, references, interpreter, "references")
    excluded = {p["task_id"]: UNDISCLOSED for p in problems if _needs_undisclosed_name(p)}
    excluded |= {task: o for task, (o,) in outcomes.items() if o != "passed"}
    excluded = dict(sorted(excluded.items()))
    if excluded:
        log.warning("excluded %d unsolvable problems: %s", len(excluded), excluded)
    return [p for p in problems if p["task_id"] not in excluded], excluded


def _needs_undisclosed_name(problem: Problem) -> bool:
    """Whether the tests use a name of the reference that the description does not mention."""
    disclosed = set(re.findall(r"\w+", problem["prompt"]))
    entry_point = problem["entry_point"]
    needed = {entry_point, *undisclosed_names(problem["tests"], problem["reference"], entry_point)}
    return not disclosed >= needed


def report(
    round_number: int,
    problems: Sequence[Problem],
    excluded: Mapping[str, str],
    outcomes: Mapping[str, Mapping[str, Sequence[str]]],
    answers: Mapping[str, Answers],
    models: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Build duel.json.

    outcomes, answers, models: by "teacher" and "student"; each model has a `name` and a `digest`.
    Keys: round; counts of problems: test, excluded, compared; excluded: outcome by id; problems:
    each with both models' outcomes; models: for each pass@1 (null where nothing was compared) with
    Wilson's interval, the share by k samples, outcomes, counts of answers, tokens; paired: see
    `paired`.
    """
    rows = [
        {"id": task, **{m: _row(outcomes[m][task], answers[m][task]) for m in MODELS}}
        for task in (p["task_id"] for p in problems)
    ]
    sizes = {"test": len(problems) + len(excluded), "excluded": len(excluded)}
    return {
        "round": round_number,
        "counts": {**sizes, "compared": len(problems)},
        "excluded": dict(excluded),
        "problems": rows,
        "models": {
            m: {**models[m], **_summary(m, rows), **_costs(answers[m], problems)} for m in MODELS
        },
        "paired": paired(rows),
    }


def _row(outcomes: Sequence[str], answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    greedy, *samples = (unusable(a) or o for o, a in zip(outcomes, answers, strict=True))
    return {"greedy": greedy, "samples": samples}


def _summary(model: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = [row[model] for row in rows]
    outcomes = Counter(one["greedy"] for one in own)
    greedy = share(outcomes["passed"], len(own)) if own else None
    return {
        "greedy": greedy,
        "outcomes": dict(sorted(outcomes.items())),
        "sampled": _sampled([one["samples"] for one in own]),
    }


def _sampled(samples: Sequence[Sequence[str]]) -> dict[str, Any] | None:
    """pass@1 over k samples of each problem, with its interval over problems."""
    if not samples or not samples[0]:
        return None
    means = [sum(outcome == "passed" for outcome in one) / len(one) for one in samples]
    return {
        "samples": len(samples[0]),
        "pass@1": round(sum(means) / len(means), 6),
        "interval": rounded(mean_interval(means)),
    }


def _costs(answers: Answers, problems: Sequence[Problem]) -> dict[str, Any]:
    """Counts of the answers (`counts`), and their tokens."""
    rows = [row for problem in problems for row in answers[problem["task_id"]]]
    tokens = {key: sum(row[key] for row in rows) for key in ("prompt_tokens", "completion_tokens")}
    return {"answers": counts(rows), **tokens}


def paired(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Compare the greedy answers problem by problem; None where there is nothing to compare.

    both, neither, only_student, only_teacher: numbers of problems solved; difference: student's
    pass@1 less the teacher's, with Newcombe's 95% interval; mcnemar_p: exact, two-sided.
    """
    if not rows:
        return None
    solved = Counter(tuple(row[m]["greedy"] == "passed" for m in MODELS) for row in rows)
    counts = Paired(
        solved[True, True], solved[False, True], solved[True, False], solved[False, False]
    )
    return {
        "both": counts.both,
        "neither": counts.neither,
        "only_student": counts.only_a,
        "only_teacher": counts.only_b,
        **comparison(counts),
    }


def grouped(problems: Iterable[Problem], takes: Iterable[list[dict[str, Any]]]) -> Answers:
    """Rows of several takes over the same problems, by problem."""
    by_id: Answers = {problem["task_id"]: [] for problem in problems}
    for rows in takes:
        for row in rows:
            by_id[row["task_id"]].append(row)
    return by_id


def seeds_of(run_seed: int, number: int) -> Callable[[str], int]:
    """`Decoding.seed` of the samples with that number."""
    return lambda task: sample_seed(run_seed, task, number)
