"""`aiev score`: judge anybody's samples, without a run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption

SamplesArgument = Annotated[Path, typer.Argument(metavar="SAMPLES", show_default=False)]
TasksOption = Annotated[
    Path,
    typer.Option("--tasks", help="The benchmark's file, e.g. HumanEvalPlus.jsonl.gz.", metavar="F"),
]
KindOption = Annotated[str, typer.Option("--kind", help="Kind of benchmark, or a .py file.")]
KnownOption = Annotated[
    list[str] | None,
    typer.Option("--known-exception", help="A task whose own solution may fail.", metavar="TASK"),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Directory for score.json and eval_results.json.")
]


def score(
    samples: SamplesArgument,
    tasks: TasksOption,
    kind: KindOption = "evalplus",
    known_exception: KnownOption = None,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Score a sample file on a benchmark, in the sandbox, and print one line of JSON.

    Samples are in EvalPlus's format: JSON Lines, gzipped or not, with task_id and solution (or
    completion), one for each task. The benchmark's own solutions are judged first. The config gives
    the sandbox and the limits.

    \b
      aiev score samples.jsonl --tasks HumanEvalPlus.jsonl.gz --known-exception HumanEval/32
    """
    from aiev.config.load import read_config
    from aiev.core.files import check_file, write_json
    from aiev.evaluation.benchmarks.base import ScoringLimits, open_benchmark
    from aiev.evaluation.scoring import results, score_file
    from aiev.sandbox.api import open_sandbox, with_containers

    read = read_config(config)
    hint = "name the benchmark's file, such as HumanEvalPlus.jsonl.gz, with --tasks"
    check_file(tasks, "no such file of tasks", hint)
    scoring, box = ScoringLimits.of(read["evaluation"]["scoring"]), read["sandbox"]
    own = {"backend": box["backend"]}
    own |= {"docker": box["docker"]} if box["backend"] == "docker" else {}
    benchmark = open_benchmark(tasks.name.partition(".")[0], kind, {})
    with open_sandbox(**with_containers(own, read["execution"])) as sandbox:
        prepared = benchmark.prepare(tasks, sandbox, scoring.limits)
        known = known_exception or []
        found, verdicts = score_file(benchmark, prepared, samples, sandbox, scoring, known)
    if out:
        write_json(out / "score.json", found)
        write_json(out / "eval_results.json", results(benchmark, prepared, verdicts))
    shown = ("benchmark", "tasks", "exceptions", "base", "plus", "evaluator")
    print(json.dumps({key: found[key] for key in shown}))
