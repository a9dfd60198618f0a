"""What judging costs, against EvalPlus's own evaluation of the same solutions."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiev.core.errors import UserError
from aiev.evaluation.benchmarks.base import ScoringLimits, open_benchmark
from aiev.resources.fetch import MIRROR
from aiev.sandbox.api import open_sandbox
from benches import report

FILES = {"humaneval": "HumanEvalPlus.jsonl.gz", "mbpp": "MbppPlus.jsonl.gz"}
STOCK = """
import os, sys, types
sys.modules["datasets"] = types.ModuleType("datasets")
sys.modules["datasets"].load_dataset = None
from evalplus.evaluate import evaluate
evaluate(dataset=sys.argv[1], samples="samples.jsonl", parallel=2, i_just_wanna_run=True)
os._exit(0)
"""
"""EvalPlus without the package that it imports and does not need here, and without the thread that
it would wait for."""


def evalplus() -> None:
    """Canonical solutions of HumanEval+ and MBPP+, one each, on two cores: seconds to judge
    them with the expected outputs kept from before, and without, and stock EvalPlus likewise."""
    for dataset, name in FILES.items():
        file = Path(os.environ.get(MIRROR) or "resources/audit") / name
        if not file.is_file():
            raise UserError(
                f"no {name} to measure with", where=str(file), hint=f"name its folder in {MIRROR}"
            )
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            benchmark = open_benchmark(dataset, "evalplus", {})
            tasks = benchmark.load(file)
            solutions = {task["task_id"]: benchmark.canonical(task) for task in tasks}
            for oracle in ("expected outputs made", "expected outputs kept"):
                ours = _ours(benchmark, tasks, solutions, work)
                theirs = _stock(dataset, file, solutions, work)
                label = f"evalplus_{dataset}+ ({oracle})"
                report(label, ours, "s", "stock evalplus.evaluate", theirs, theirs / ours)


def _ours(benchmark, tasks, solutions, work: Path) -> float:
    before = Path.cwd()
    os.chdir(work)
    try:
        with open_sandbox("bubblewrap") as sandbox:
            start = time.monotonic()
            benchmark.judge(tasks, solutions, sandbox, ScoringLimits.of({}))
            return time.monotonic() - start
    finally:
        os.chdir(before)


def _stock(dataset: str, file: Path, solutions, work: Path) -> float:
    (work / "problems.jsonl").write_bytes(gzip.decompress(file.read_bytes()))
    rows = (json.dumps({"task_id": t, "solution": s}) + "\n" for t, s in solutions.items())
    (work / "samples.jsonl").write_text("".join(rows))
    (work / "samples_eval_results.json").unlink(missing_ok=True)
    place = {f"{dataset.upper()}_OVERRIDE_PATH": str(work / "problems.jsonl")}
    environment = {**os.environ, **place, "XDG_CACHE_HOME": str(work / "cache")}
    command = [sys.executable, "-c", STOCK, dataset]
    start = time.monotonic()
    subprocess.run(command, cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start
