"""`aiev score`: judge anybody's samples, without a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption
from aiev.core.errors import UserError

if TYPE_CHECKING:
    from aiev.evaluation.benchmarks.base import Benchmark, ScoringLimits, Task, Verdict
    from aiev.evaluation.samples import Row
    from aiev.sandbox.request import Sandbox

VALIDATIONS = Path(".aiev/validated")
"""Where it is kept that a benchmark's own solutions pass here, by all that this rests on."""

SHOWN = (
    *("benchmark", "tasks", "left_out", "dropped", "exceptions"),
    *("base", "plus", "pass_at_k", "evaluator"),
)
"""What of score.json is printed."""

SamplesOption = Annotated[
    Path, typer.Option("--samples", help="The sample file.", metavar="FILE", show_default=False)
]
BenchmarkOption = Annotated[
    str, typer.Option("--benchmark", help="Its name, such as humaneval+ or mbpp.", metavar="NAME")
]
TasksOption = Annotated[
    Path | None,
    typer.Option("--tasks", help="The benchmark's file, in place of a name.", metavar="FILE"),
]
KindOption = Annotated[
    str,
    typer.Option("--kind", help="Kind of benchmark of --tasks, or a .py file.", metavar="KIND"),
]
KnownOption = Annotated[
    list[str] | None,
    typer.Option("--known-exception", help="A task whose own solution may fail.", metavar="TASK"),
]
NumberOption = Annotated[int, typer.Option("--n", min=1, help="Samples per task.", metavar="N")]
OnlyOption = Annotated[
    bool,
    typer.Option("--known-tasks-only", help="Ignore samples for tasks that the benchmark lacks."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Directory for verdicts.jsonl, score.json, eval_results.json.",
        metavar="DIR",
    ),
]


def score(
    samples: SamplesOption,
    benchmark: BenchmarkOption = "",
    tasks: TasksOption = None,
    kind: KindOption = "evalplus",
    known_exception: KnownOption = None,
    n: NumberOption = 1,
    known_tasks_only: OnlyOption = False,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Score a sample file on a benchmark, in the sandbox; the last line printed is JSON.

    Samples are JSON Lines, gzipped or not, with task_id and solution (or completion, or program),
    or a directory of MultiPL-E's files. The benchmark's own solutions are judged first, once on a
    machine. The config gives the sandbox and the limits.

    \b
      aiev score --samples samples.jsonl --benchmark humaneval+ --out scored
      aiev score --samples samples.jsonl --tasks HumanEvalPlus.jsonl.gz
      aiev score --samples samples.jsonl --tasks humaneval-java.jsonl --kind multipl-e
    """
    from aiev.config.load import read_config
    from aiev.core.files import check_file, check_folder
    from aiev.evaluation.benchmarks.base import ScoringLimits
    from aiev.evaluation.samples import (
        check_programs,
        read_samples,
        samples_digest,
        samples_of,
        task_of,
    )
    from aiev.evaluation.scoring import score_samples
    from aiev.sandbox.api import open_sandbox, with_containers

    read = read_config(config)
    if not samples.is_dir():  # before a benchmark is fetched
        check_file(samples, "no such sample file", "name a JSON Lines file with --samples")
    chosen, source, known = _benchmark(read, benchmark, tasks, kind)
    read_rows, digest = read_samples(samples), samples_digest(samples)
    rows = [(place, each) for place, row in read_rows for each in chosen.samples(row)]
    if out:
        check_folder(out)
    execution, box = read["execution"], read["sandbox"]
    scoring = ScoringLimits.of(read["evaluation"]["scoring"], execution["scoring_slots"])
    own = {"backend": box["backend"]}
    own |= {"docker": box["docker"]} if box["backend"] == "docker" else {}
    with open_sandbox(**with_containers(own, execution)) as sandbox:
        prepared = chosen.prepare(source, sandbox, scoring.limits)
        rows = [row for row in rows if task_of(row[1]) not in chosen.left_out]
        rows, dropped = _known_rows(rows, prepared) if known_tasks_only else (rows, 0)
        given = samples_of(rows, prepared, str(samples), n)
        check_programs(chosen, rows, prepared, str(samples))
        known = [*known, *(known_exception or [])]
        validation = _validated(chosen, prepared, sandbox, scoring, known, own)
        found, rounds = score_samples(chosen, prepared, given, sandbox, scoring, validation, digest)
    found["dropped"] = dropped
    try:
        if out:
            _write(out, found, chosen, prepared, rounds)
    finally:  # the score is told even where the disk is full by now
        print(json.dumps({key: found[key] for key in SHOWN if key in found}))


def _benchmark(
    config: Mapping[str, Any], name: str, tasks: Path | None, kind: str
) -> tuple["Benchmark", Path, list[str]]:
    """The benchmark of a name, or of a file; its file; its known exceptions."""
    from aiev.core.files import check_file
    from aiev.evaluation.benchmarks import BENCHMARKS
    from aiev.evaluation.benchmarks.base import open_benchmark, published_benchmarks
    from aiev.resources.fetch import fetched

    if bool(name) == bool(tasks):
        raise UserError(
            "name a benchmark with --benchmark, or give its file with --tasks",
            hint=f"the names are {', '.join(published_benchmarks())}",
        )
    if tasks:
        hint = "name the benchmark's file, such as HumanEvalPlus.jsonl.gz, with --tasks"
        check_file(tasks, "no such file of tasks", hint)
        of_kind = BENCHMARKS.get(kind)
        opened = open_benchmark(tasks.name.partition(".")[0], kind, of_kind.config_of(tasks))
        return opened, tasks, sorted(of_kind.known_exceptions())
    names = published_benchmarks()
    if name not in names:
        raise UserError(f"no benchmark is called {name!r}", hint=f"use one of {', '.join(names)}")
    kind, published = names[name]
    source = fetched(published.resource, config["resources"], Path(".aiev/scratch/score"))
    opened = open_benchmark(name, kind, published.config)
    return opened, source, list(published.known_exceptions)


def _known_rows(rows: list["Row"], tasks: list["Task"]) -> tuple[list["Row"], int]:
    """The rows of tasks that the benchmark contains, and how many others there are. One that names
    no task is kept, to be refused."""
    from aiev.evaluation.samples import task_of

    known = {None, *(task["task_id"] for task in tasks)}
    kept = [row for row in rows if task_of(row[1]) in known]
    return kept, len(rows) - len(kept)


def _validated(
    benchmark: "Benchmark",
    tasks: list["Task"],
    sandbox: "Sandbox",
    limits: "ScoringLimits",
    known: list[str],
    box: Mapping[str, Any],
) -> dict[str, Any]:
    """The validation of the benchmark on this machine as it is, made unless it is kept.

    It rests on the tasks, the limits, the sandbox, the machine's facts and the project's code.
    """
    from dataclasses import asdict

    from aiev.core.files import SCRIPTS, mark_used, read_json, write_json
    from aiev.core.hashing import of_file, of_json, of_text
    from aiev.evaluation.scoring import host_facts, validate_canonical

    code = {str(p.relative_to(SCRIPTS)): of_file(p) for p in sorted(SCRIPTS.rglob("aiev/**/*.py"))}
    facts = host_facts(benchmark, of_json(code), benchmark.versions(sandbox))
    rests_on = [of_text(benchmark.dump(tasks)), asdict(limits), dict(box), sorted(known), facts]
    path = VALIDATIONS / f"{of_json(rests_on)}.json"
    try:
        found = read_json(path)
        mark_used(path)
    except UserError:  # none, or a damaged one
        found = validate_canonical(benchmark, tasks, sandbox, limits, known)
        write_json(path, found)
    return found


def _write(
    out: Path,
    found: Mapping[str, Any],
    benchmark: "Benchmark",
    tasks: list["Task"],
    rounds: list[dict[str, "Verdict"]],
) -> None:
    from aiev.core.files import write_json, write_jsonl
    from aiev.evaluation.scoring import results

    write_jsonl(
        out / "verdicts.jsonl",
        (
            {
                "task_id": task["task_id"],
                "base": verdict.base,
                "plus": verdict.plus,
                "outcome": verdict.outcome,
                "seconds": round(verdict.seconds, 3),
            }
            for task in tasks
            for verdict in (each[task["task_id"]] for each in rounds)
        ),
    )
    write_json(out / "eval_results.json", results(benchmark, tasks, rounds[0]))
    write_json(out / "score.json", found)
