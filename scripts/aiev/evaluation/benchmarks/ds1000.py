"""DS-1000 (Lai et al. 2022, arXiv 2211.11501): problems of data science in Python, the simplified
version of 2024, judged by each problem's own tests.

Each solution is judged in a sandbox of its own, with pinned packages
(evaluation/ds1000/packages.py); the comparison is out of its reach (evaluation/ds1000/inside).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from aiev.core.errors import UserError
from aiev.core.files import module_path, read_rows
from aiev.core.settings import Section
from aiev.core.templates import render
from aiev.evaluation.benchmarks import base
from aiev.evaluation.benchmarks.base import (
    Description,
    EvaluatorCrashed,
    Published,
    ScoringLimits,
    Task,
    Verdict,
)
from aiev.evaluation.ds1000 import answers, packages
from aiev.sandbox.request import Limits, Request, Sandbox

KEYS = ("prompt", "reference_code", "metadata", "code_context")
RUN = module_path("aiev.evaluation.ds1000.inside.run")
SIZE = 1000
FUNCTION = "### BEGIN SOLUTION"
LIBRARIES = ("Pandas", "Numpy", "Matplotlib", "Sklearn", "Scipy")
"""Those whose packages are pinned, as the benchmark names them: 887 of the 1,000 problems."""

_NETWORK = "its own code fetches a data set, and there is no network in the sandbox"
_PACKAGE = "needs a package that is not pinned here, as it is large: {}"
KNOWN = {
    **{
        f"DS-1000/{number}": _NETWORK
        for number in (519, 539, 565, 566, 567, 577, 598, 624, 629, 650, 654, 655, 656, 661, 819)
    },
    **{f"DS-1000/{number}": _PACKAGE.format("PyTorch") for number in (377, 378)},
    **{f"DS-1000/{number}": _PACKAGE.format("TensorFlow") for number in (379, 380)},
    **{f"DS-1000/{number}": _PACKAGE.format("XGBoost") for number in (837, 838)},
}
"""Problems whose own reference cannot pass here, and why."""


class Config(Section):
    """DS-1000."""

    libraries: list[Literal[LIBRARIES]] = Field(
        list(LIBRARIES),
        min_length=1,
        description="Libraries whose problems are scored. PyTorch (68 problems) and TensorFlow (45) "
        "cannot be chosen: their packages are not pinned.",
    )
    run_seconds: int = Field(
        60, ge=1, description="CPU time of one problem's tests, in seconds; imports included."
    )


class Benchmark(base.Benchmark):
    """The problems of some libraries; see the module."""

    Config = Config
    published: ClassVar = {"ds1000": Published("ds1000", {}, KNOWN)}

    @property
    def evaluator(self) -> str:
        versions = (f"{name} {packages.WHEELS[name][0]}" for name in ("numpy", "pandas", "scipy"))
        return f"DS-1000 ({', '.join(versions)})"

    def load(self, path: Path) -> list[Task]:
        tasks = []
        for number, row in enumerate(read_rows(path), 1):
            if not isinstance(row, dict) or (missing := [key for key in KEYS if key not in row]):
                message = f"not a problem of DS-1000: no {', '.join(missing or KEYS)}"
                hint = "give ds1000.jsonl of xlang-ai/DS-1000, the simplified version of 2024"
                raise UserError(message, where=f"{path}, row {number}", hint=hint)
            if row["metadata"]["library"] in self.config.libraries:
                tasks.append({**row, "task_id": f"DS-1000/{row['metadata']['problem_id']}"})
        if len({task["task_id"] for task in tasks}) != len(tasks) or not tasks:
            hint = "give ds1000.jsonl of xlang-ai/DS-1000"
            raise UserError("no problems, or one of them twice", where=str(path), hint=hint)
        return tasks

    def describe(self, tasks: Sequence[Task]) -> Description:
        return Description("DS-1000", SIZE, {"AutoCoder 33B (paper)": [47.2]})

    def prompt(self, task: Task) -> str:
        return render(answers.__file__, "complete", prompt=task["prompt"].rstrip())

    def extract(self, answer: str, task: Task) -> str:
        # In a function's body, the place is indented.
        return answers.code_of(answer, 4 if FUNCTION in task["prompt"] else 0)

    def canonical(self, task: Task) -> str:
        return task["reference_code"]

    def texts(self, task: Task) -> Iterable[tuple[str, str]]:
        yield "prompt", task["prompt"]
        yield "reference_code", task["reference_code"]

    def judge(
        self,
        tasks: Sequence[Task],
        solutions: Mapping[str, str],
        sandbox: Sandbox,
        limits: ScoringLimits,
    ) -> dict[str, Verdict]:
        mounts = packages.layer(limits.layers).mounts

        def one(task: Task) -> Verdict:
            return self._judge(task, solutions[task["task_id"]], sandbox, limits, mounts)

        with ThreadPoolExecutor(limits.parallel) as pool:
            verdicts = list(pool.map(one, tasks))
        return {task["task_id"]: verdict for task, verdict in zip(tasks, verdicts, strict=True)}

    def _judge(
        self,
        task: Task,
        solution: str,
        sandbox: Sandbox,
        limits: ScoringLimits,
        mounts: Mapping[str, Path],
    ) -> Verdict:
        context = task["code_context"]
        problem = {"code_context": context, "solution": solution}
        result = sandbox.run(
            Request(
                {
                    "run.py": RUN.read_text("utf-8"),
                    "modules.json": json.dumps(_modules(context)),
                    "problem.json": json.dumps(problem),
                },
                ("python", "run.py"),
                Limits(
                    wall_seconds=10 * self.config.run_seconds,
                    cpu_seconds=self.config.run_seconds,
                    memory_mib=limits.solution_memory_mib,
                ),
                {"MPLCONFIGDIR": "/tmp", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                mounts=mounts,
            )
        )
        said = _report(result.stdout)
        if said is None and "run.py" in result.stderr and "ImportError" in result.stderr:
            raise EvaluatorCrashed(result.stderr[-500:], where=task["task_id"])
        if said is None:
            outcome = "crashed" if result.outcome in ("passed", "failed") else result.outcome
            return Verdict(False, None, outcome, seconds=result.seconds)
        return Verdict(said == "passed", None, said, seconds=result.seconds)


def _report(stdout: str) -> str | None:
    """The outcome on the last line; None where the checker did not come to its end."""
    try:
        return json.loads(stdout.rstrip().rpartition("\n")[2])["outcome"]
    except (ValueError, LookupError, TypeError):
        return None


def _modules(code_context: str) -> list[str]:
    """Packages that a problem's tests import, to be read once for both processes."""
    found = re.findall(r"^\s*(?:import|from)\s+(\w+)", code_context, re.MULTILINE)
    return sorted({*found} - {"tensorflow", "torch"})
