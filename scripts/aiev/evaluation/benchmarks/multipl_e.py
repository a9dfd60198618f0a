"""MultiPL-E's HumanEval in C++, Java, JavaScript, PHP, Rust, TypeScript, and languages of your own.

Each solution is compiled and run in a sandbox of its own by Debian's toolchain of the language
(aiev.languages.toolchains). There are no canonical solutions: before anything is judged, the
toolchain has to compile and run a program of ours.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from aiev.core.chosen import known_in
from aiev.core.errors import UserError
from aiev.core.settings import Section
from aiev.evaluation.benchmarks import base
from aiev.evaluation.benchmarks.base import (
    Description,
    EvaluatorCrashed,
    Published,
    ScoringLimits,
    Task,
    Verdict,
)
from aiev.evaluation.multipl_e import programs, styles
from aiev.evaluation.multipl_e.tampering import refusal
from aiev.evaluation.rows import read_rows
from aiev.evaluation.styles import CHAT, Style
from aiev.languages.toolchains import TOOLCHAINS
from aiev.languages.toolchains.base import Ran, Steps, Toolchain
from aiev.sandbox.request import Limits, Sandbox

HINT = "give a JSON Lines file of nuprl/MultiPL-E, gzipped or not"
KEYS = ("name", "language", "prompt", "tests", "stop_tokens")
ASSERTION = "Assertion `"
"""What C's assert says before it ends the program by a signal: a test that failed."""

SIZES = {"cpp": 161, "java": 158, "js": 161, "php": 161, "rs": 156, "ts": 159}
PAPER = {"cpp": 68.9, "java": 61.4, "rs": 60.8}
"""AutoCoder 33B, greedy pass@1 in percent, arXiv 2405.14906; its other languages are not these."""


class Config(Section):
    """A benchmark of MultiPL-E."""

    language: Annotated[str, known_in(TOOLCHAINS)] = Field(
        "cpp",
        description="Language of the problems: cpp, java, js, php, rs or ts, or a Python file of "
        "your own with a class Toolchain (docs/extending.md).",
    )
    compile_seconds: int = Field(60, ge=1, description="CPU time of a compilation, in seconds.")
    run_seconds: int = Field(15, ge=1, description="CPU time of a program, in seconds.")


class Benchmark(base.Benchmark):
    """The problems of one language; see the module."""

    Config = Config
    published: ClassVar = {
        f"multipl-e-{language}": Published(f"multipl-e-{language}", {"language": language})
        for language in SIZES
    }

    has_canonical = False

    @classmethod
    def config_of(cls, path: Path) -> Mapping[str, Any]:
        """The language, which each problem names."""
        first = next(iter(read_rows(path, HINT)), None)
        language = first.get("language") if isinstance(first, dict) else None
        # Not a path: a file from elsewhere must not choose code of this machine.
        if language not in TOOLCHAINS.names():
            raise UserError(
                f"the first problem is in no language that is known here: {language!r}",
                where=str(path),
                hint=f"{HINT}, in one of {', '.join(TOOLCHAINS.names())}",
            )
        return {"language": language}

    @property
    def evaluator(self) -> str:
        return f"MultiPL-E ({self._toolchain.title})"

    @property
    def _toolchain(self) -> Toolchain:
        return TOOLCHAINS.get(self.config.language)()

    @property
    def _language(self) -> str:
        """The language as MultiPL-E names it: a file of your own is called after it."""
        return Path(self.config.language).stem

    def versions(self, sandbox: Sandbox) -> Mapping[str, str]:
        return self._toolchain.versions(sandbox)

    def load(self, path: Path) -> list[Task]:
        tasks = [{**task, "task_id": task.get("name")} for task in read_rows(path, HINT)]
        for number, task in enumerate(tasks, 1):
            where = f"{path}, line {number}"
            if missing := [key for key in KEYS if key not in task]:
                message = f"not a problem of MultiPL-E: no {', '.join(missing)}"
                raise UserError(message, where=where, hint="give a file of nuprl/MultiPL-E")
            if task["language"] != self._language:
                raise UserError(
                    f"a problem in {task['language']}, not in {self._language}",
                    where=where,
                    hint="set `language` of the benchmark, or give the file of its language",
                )
        if len({task["task_id"] for task in tasks}) != len(tasks) or not tasks:
            hint = "give a file of nuprl/MultiPL-E"
            raise UserError("no problems, or one of them twice", where=str(path), hint=hint)
        return tasks

    def prepare(self, source: Path, sandbox: Sandbox, limits: Limits) -> list[Task]:
        """Load, after a look whether the toolchain is there: before any answer is paid for."""
        self._toolchain.check(sandbox)
        return self.load(source)

    def describe(self, tasks: Sequence[Task]) -> Description:
        language = self._language
        figures = {"AutoCoder 33B (paper)": [PAPER[language]]} if language in PAPER else {}
        title = f"MultiPL-E {self._toolchain.title}"
        return Description(title, SIZES.get(language), figures)

    def prompt(self, task: Task) -> str:
        return self.style(CHAT).prompt(task)

    def extract(self, answer: str, task: Task) -> str:
        return self.style(CHAT).extract(answer, task)

    def styles(self) -> Mapping[str, Style]:
        return styles.styles(self._toolchain)

    def parses(self, solution: str, verdict: Verdict) -> bool | None:
        """Whether it compiles; not known of languages that are not compiled first."""
        return verdict.outcome != "compile-error" if self._toolchain.compile else None

    def samples(self, row: Any) -> list[Any]:
        """Also what MultiPL-E writes itself: {name, completions: [text]}, and, after its own
        evaluation, {name, results: [{program}]}; a file for each problem."""
        if not isinstance(row, dict) or "task_id" in row or "name" not in row:
            return [row]
        results, completions = row.get("results"), row.get("completions")
        if isinstance(results, list):
            programs = (one.get("program") if isinstance(one, dict) else None for one in results)
            return [{"task_id": row["name"], "program": program} for program in programs]
        if isinstance(completions, list):
            return [{"task_id": row["name"], "completion": one} for one in completions]
        return [{"task_id": row["name"], **row}]

    def of_other_tests(self, rows: Iterable[Any], tasks: Sequence[Task]) -> list[str]:
        """Programs that do not end with the tests: with these behind its own, a program would
        define twice what they define."""
        tests, end = {t["task_id"]: t["tests"].rstrip() for t in tasks}, self._toolchain.end
        return [
            row["task_id"]
            for row in rows
            if row.get("solution") is None
            and isinstance(whole := row.get("program"), str)
            and not whole.rstrip().removesuffix(end).rstrip().endswith(tests[row["task_id"]])
        ]

    def canonical(self, task: Task) -> str:
        """MultiPL-E has none."""
        return ""

    def judge(
        self,
        tasks: Sequence[Task],
        solutions: Mapping[str, str],
        sandbox: Sandbox,
        limits: ScoringLimits,
    ) -> dict[str, Verdict]:
        toolchain, config = self._toolchain, self.config
        toolchain.check(sandbox)
        steps = Steps(config.compile_seconds, config.run_seconds, limits.solution_memory_mib)

        def one(task: Task) -> tuple[Ran, Verdict]:
            solution = solutions[task["task_id"]]
            if refused := refusal(programs.without_tests(task, solution, toolchain), task):
                row = {"refused": refused}
                return Ran("refused", "", refused, 0.0), Verdict(False, outcome="refused", row=row)
            mark = secrets.token_hex(16)
            program = programs.program_of(task, solution, toolchain, mark)
            ran = toolchain.execute(program, sandbox, steps)
            if ran.outcome == "crashed" and ASSERTION in ran.said:
                ran = replace(ran, outcome="failed")
            if ran.outcome not in ("passed", "failed", "compile-error", "timed-out"):
                self._check_again(toolchain, task, ran, sandbox)
            right = ran.outcome == "passed" and programs.printed(ran.stdout, mark)
            outcome = "failed" if ran.outcome == "passed" and not right else ran.outcome
            return ran, Verdict(right, None, outcome, seconds=ran.seconds)

        with ThreadPoolExecutor(limits.parallel) as pool:
            judged = list(zip(tasks, pool.map(one, tasks), strict=True))
        # A full disk looks like an error in the solution: g++ ends with 1 for both.
        for task, (ran, verdict) in judged:
            if not verdict.base:
                self._check_again(toolchain, task, ran, sandbox)
                break
        return {task["task_id"]: verdict for task, (_, verdict) in judged}

    @staticmethod
    def _check_again(toolchain: Toolchain, task: Task, ran: Ran, sandbox: Sandbox) -> None:
        """After a solution failed: raise EvaluatorCrashed unless a program of ours still runs."""
        try:
            toolchain.check(sandbox)
        except UserError as error:
            raise EvaluatorCrashed(
                f"{ran.outcome}: {ran.said}", where=task["task_id"], hint=str(error)
            ) from error
