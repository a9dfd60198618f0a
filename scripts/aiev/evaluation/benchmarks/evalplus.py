"""HumanEval, HumanEval+, MBPP and MBPP+, judged by EvalPlus's rules.

A problem file is EvalPlus's own, or OpenAI's HumanEval, which is brought into EvalPlus's format.
The rules of what is right are EvalPlus's; evaluation/evalplus/judge.py runs the solutions.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aiev.core.settings import Section
from aiev.evaluation.benchmarks import base
from aiev.evaluation.benchmarks.base import (
    Description,
    Published,
    ScoringLimits,
    Task,
    Verdict,
)
from aiev.evaluation.evalplus import styles
from aiev.evaluation.evalplus.problems import (
    UNPASSABLE,
    canonical_of,
    dataset_of,
    has_plus,
    read_problems,
)
from aiev.evaluation.styles import CHAT, Style
from aiev.languages.python.functions import BROKEN, parse
from aiev.sandbox.request import Limits, Sandbox


class Config(Section):
    """A benchmark in the format of HumanEval or EvalPlus."""

    max_inputs: int = Field(
        200, ge=1, description="Maximum number of inputs recorded from a problem's own tests."
    )
    plus: bool = Field(
        True, description="Judge by EvalPlus's further inputs too, where the file has any."
    )


class Benchmark(base.Benchmark):
    """A problem file that EvalPlus knows; see the module."""

    Config = Config
    published: ClassVar = {
        "humaneval": Published("humaneval-plus", {"plus": False}, UNPASSABLE),
        "humaneval+": Published("humaneval-plus", {}, UNPASSABLE),
        "mbpp": Published("mbpp-plus", {"plus": False}),
        "mbpp+": Published("mbpp-plus"),
    }

    @property
    def evaluator(self) -> str:
        return f"evalplus {version('evalplus')}"

    def load(self, path: Path) -> list[Task]:
        return read_problems(path)

    def prepare(self, source: Path, sandbox: Sandbox, limits: Limits) -> list[Task]:
        from aiev.evaluation.evalplus.humaneval import convert

        return convert(read_problems(source), sandbox, limits, self.config.max_inputs)

    def describe(self, tasks: Sequence[Task]) -> Description:
        dataset = dataset_of(tasks)
        return Description(dataset.title, dataset.size, dataset.paper)

    def prompt(self, task: Task) -> str:
        return self.style(CHAT).prompt(task)

    def extract(self, answer: str, task: Task) -> str:
        return self.style(CHAT).extract(answer, task)

    def styles(self) -> Mapping[str, Style]:
        return styles.styles()

    def canonical(self, task: Task) -> str:
        return canonical_of(task)

    def has_plus(self, tasks: Sequence[Task]) -> bool:
        return self.config.plus and has_plus(tasks)

    def judge(
        self,
        tasks: Sequence[Task],
        solutions: Mapping[str, str],
        sandbox: Sandbox,
        limits: ScoringLimits,
    ) -> dict[str, Verdict]:
        from aiev.evaluation.evalplus.judge import judge

        phases = ("base", "plus") if self.config.plus else ("base",)
        return judge(tasks, solutions, sandbox, limits, phases)

    def texts(self, task: Task) -> Iterable[tuple[str, str]]:
        """The prompt, the solution, both together, and the docstring and text of the function."""
        whole = canonical_of(task)
        yield "prompt", task["prompt"]
        yield "canonical_solution", task["canonical_solution"]
        yield "prompt+solution", whole
        try:
            functions = [node for node in parse(whole).body if isinstance(node, ast.FunctionDef)]
        except BROKEN:
            return
        for node in functions:
            if node.name == task["entry_point"]:
                yield "docstring", ast.get_docstring(node) or ""
                yield "function", ast.unparse(node)
