"""What a benchmark is, and the registry of its kinds.

A kind lies in a file of its own in this package, or in a file outside that the config names, and
defines a class `Benchmark` that derives from the one here. It says how problems are read, how a
model is asked, what of its answer is judged, and how; everything else (subsets, samples, the check
of the canonical solutions, scores, reports, decontamination) is the same for all.
"""

import json
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aiev.core.errors import UserError
from aiev.core.settings import Section, checked
from aiev.evaluation.benchmarks import BENCHMARKS
from aiev.evaluation.settings import ScoringSettings
from aiev.evaluation.styles import CHAT, Style, style_of
from aiev.languages.python.functions import BROKEN, parse
from aiev.sandbox.request import Limits, Sandbox

Task = dict[str, Any]
"""A problem as a JSON object with a `task_id`; what else it holds is the kind's own affair."""


@dataclass(frozen=True)
class ScoringLimits:
    """What decides whether an answer is in time; wide, so that scores are the same everywhere.

    The config's `evaluation.scoring`, with `limits` as the sandbox takes them.
    parallel: how many solutions are judged at the same time, which decides nothing.
    """

    min_time_limit_seconds: float
    reference_factor: float
    solution_memory_mib: int
    limits: Limits
    parallel: int = 2

    @classmethod
    def of(cls, scoring: Mapping[str, Any], parallel: int = 2) -> "ScoringLimits":
        """From the config's section; keys that are not there have their defaults."""
        values = checked(ScoringSettings, scoring, "config: evaluation.scoring").model_dump()
        return cls(**{**values, "limits": Limits(**values["limits"])}, parallel=parallel)


@dataclass(frozen=True)
class Verdict:
    """What came of one solution.

    base: it passed the benchmark's own tests. plus: the further ones too; None without any.
    outcome: passed, failed, or a more telling word, such as timed-out or compile-error.
    row: further keys of its row in eval_results.json. seconds: that it took, of CPU time or, where
    compilers run (MultiPL-E) and for DS-1000, of wall time. ran: whether every call of the
    benchmark's own tests returned, right or wrong; None where that is not known.
    """

    base: bool
    plus: bool | None = None
    outcome: str = "failed"
    row: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    ran: bool | None = None


@dataclass(frozen=True)
class Description:
    """What a report says of a benchmark.

    size: number of tasks of the whole benchmark, None where it is not known.
    paper: [base, plus] or [base], in percent, by the model's title in the paper's table.
    """

    title: str
    size: int | None = None
    paper: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A benchmark as users name it: `humaneval+`, `mbpp`.

    resource: declared file. config: the kind's keys. known_exceptions: tasks whose canonical
    solution fails, with the reason.
    """

    resource: str
    config: Mapping[str, Any] = field(default_factory=dict)
    known_exceptions: Mapping[str, str] = field(default_factory=dict)


class EvaluatorCrashed(UserError):
    """The evaluator did not reach its end, so that nothing is known about the solutions."""


class Benchmark(ABC):
    """A kind of benchmark, with the config of one benchmark of that kind.

    Config: config keys of the kind, beside those that all kinds have (BenchmarkSettings).
    published: benchmarks of this kind by the names that users know them by.
    has_canonical: whether there are canonical solutions to check a machine with.
    name: the benchmark's name in the config, which is that of its files.
    """

    Config: ClassVar[type[Section]] = Section
    published: ClassVar[Mapping[str, Published]] = {}
    has_canonical: ClassVar[bool] = True

    def __init__(self, name: str, config: Section):
        self.name, self.config = name, config

    @classmethod
    def config_of(cls, path: Path) -> Mapping[str, Any]:
        """Keys of the kind's Config that a benchmark's file tells by itself, for a file that no
        config describes. Raises UserError for a file that is none of this kind."""
        return {}

    @classmethod
    def known_exceptions(cls) -> set[str]:
        """Tasks whose canonical solution fails, of all published benchmarks of this kind."""
        return {task for each in cls.published.values() for task in each.known_exceptions}

    @property
    @abstractmethod
    def evaluator(self) -> str:
        """Name and version of what judges, as artifacts record it."""

    @abstractmethod
    def load(self, path: Path) -> list[Task]:
        """Read the tasks of a file, in its order. Raises UserError for a file that holds none."""

    def prepare(self, source: Path, sandbox: Sandbox, limits: Limits) -> list[Task]:
        """Read the tasks of the declared file, in the form in which `load` reads them later.

        For kinds that have to run something first; the others load.
        """
        return self.load(source)

    def dump(self, tasks: Sequence[Task]) -> str:
        """The text of a file that `load` reads."""
        return dump_tasks(tasks)

    @abstractmethod
    def describe(self, tasks: Sequence[Task]) -> Description:
        """Title, size and published figures of the benchmark that these tasks belong to."""

    @abstractmethod
    def prompt(self, task: Task) -> str:
        """The question that a model is asked, in the style `chat`."""

    @abstractmethod
    def extract(self, answer: str, task: Task) -> str:
        """The solution in a model's answer to it, "" when there is none. Runs nothing, never
        raises."""

    def styles(self) -> Mapping[str, Style]:
        """The prompt styles of this benchmark by name; `chat`, at least."""
        return {CHAT: Style(self.prompt, self.extract)}

    def style(self, name: str) -> Style:
        """The prompt style of that name. Raises UserError where there is none."""
        return style_of(self.styles(), name, self.name)

    @abstractmethod
    def canonical(self, task: Task) -> str:
        """A solution that must pass."""

    @abstractmethod
    def judge(
        self,
        tasks: Sequence[Task],
        solutions: Mapping[str, str],
        sandbox: Sandbox,
        limits: ScoringLimits,
    ) -> dict[str, Verdict]:
        """Run one solution for each task in the sandbox; -> verdicts by task id, in their order.

        Raises EvaluatorCrashed when the evaluator itself does not work: that is no verdict.
        """

    def parses(self, solution: str, verdict: Verdict) -> bool | None:
        """Whether a solution is a program at all; None where nothing tells. Here: Python, perhaps
        indented as a whole."""
        try:
            parse(textwrap.dedent(solution))
        except BROKEN:
            return False
        return True

    @property
    def left_out(self) -> Mapping[str, str]:
        """Tasks of the published benchmark that `load` leaves out, with the reason: they cannot be
        run, or the config does without them. They count neither as passed nor as failed."""
        return {}

    def versions(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Versions of what judges beside `evaluator`, by name, as the sandbox has it: compilers."""
        return {}

    def samples(self, row: Any) -> list[Any]:
        """The samples in a row of anybody's sample file, with `task_id` and `solution` where they
        were written in a format that this benchmark alone has."""
        return [row]

    def of_other_tests(self, rows: Iterable[Any], tasks: Sequence[Task]) -> list[str]:
        """Tasks of complete programs that hold other tests than the task's. Rows are as `samples`
        gives them, each of one of the tasks."""
        return []

    def has_plus(self, tasks: Sequence[Task]) -> bool:
        """Whether there are tests beside the benchmark's own."""
        return False

    def texts(self, task: Task) -> Iterable[tuple[str, str]]:
        """(field, text) of all that training data must not resemble."""
        yield "prompt", self.prompt(task)
        yield "canonical_solution", self.canonical(task)


def open_benchmark(name: str, kind: str, config: Mapping[str, Any]) -> Benchmark:
    """The benchmark that the config has under `name`.

    kind: a name in the registry, or the path of a .py file. config: the keys of the kind's Config.
    Raises UserError for an unknown kind, a file that defines no Benchmark, or a wrong key.
    """
    found = BENCHMARKS.get(kind)
    where = f"config: evaluation.benchmarks.{name}"
    return found(name, checked(found.Config, dict(config), where))


def published_benchmarks() -> dict[str, tuple[str, Published]]:
    """Kind and benchmark by the name that users know it by, of all built-in kinds."""
    return {
        name: (kind, each)
        for kind in BENCHMARKS.names()
        for name, each in BENCHMARKS.get(kind).published.items()
    }


def benchmark_of(params: Mapping[str, Any]) -> Benchmark:
    """The benchmark that a job's parameters describe: {name, kind, config, ...}."""
    return open_benchmark(params["name"], params["kind"], params["config"])


def dump_tasks(tasks: Sequence[Task]) -> str:
    """Tasks as JSON Lines.

    Only the tasks' own keys are sorted: the order of a dictionary among the inputs is part of the
    test. MBPP+ holds a NaN, which EvalPlus reads.
    """
    rows = ({key: task[key] for key in sorted(task)} for task in tasks)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
