"""`aiev audit`: how often a verified dialogue is right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout, check_writable

BenchmarkOption = Annotated[
    Literal["humaneval", "mbpp"], typer.Option("--benchmark", help="Where the problems are from.")
]
NumberOption = Annotated[int, typer.Option("--n", min=1, help="Number of problems.", metavar="N")]
ExamplesOption = Annotated[
    Literal["kept", "removed", "wrong"],
    typer.Option("--examples", help="What becomes of the examples in the problems' texts."),
]
PromptsOption = Annotated[
    str, typer.Option("--prompts", help="A prompt set in place of the config's.", metavar="NAME")
]
LedgerOption = Annotated[
    Path, typer.Option("--ledger", help="Folder of the audit's own answers.", metavar="DIR")
]
RecordOption = Annotated[
    Path | None,
    typer.Option("--record", help="File for the evidence of each problem.", metavar="FILE"),
]


SCRATCH = Path(".aiev/scratch/audit")


def audit(
    config: ConfigOption = DEFAULT_CONFIG,
    benchmark: BenchmarkOption = "humaneval",
    n: NumberOption = 80,
    examples: ExamplesOption = "kept",
    prompts: PromptsOption = "",
    ledger: LedgerOption = Path("ledger-audit"),
    record: RecordOption = None,
) -> None:
    """Put problems with hidden tests through the run's dialogue loop, and print for each policy how
    many it verifies and how many of those are right: one JSON object a line. First with the
    config's own thresholds, then without verification.min_examples: a benchmark's problems state as
    many examples as they do.

    The tests are EvalPlus's. Nothing of an audit reaches training data. --examples wrong gives one
    example of each problem a wrong result, as a small teacher's own problems have them.

    \b
      aiev audit --benchmark humaneval --n 80
      aiev audit --benchmark mbpp --n 100 --record audit.jsonl
      aiev audit --prompts config/prompts/mine
    """
    check_checkout(config)
    if record:
        check_writable(record, "--record")
    from aiev.config.load import read_config
    from aiev.core.files import write_text
    from aiev.evaluation.evalplus.hidden import passable
    from aiev.evaluation.stats import wilson_interval
    from aiev.recipes.aiev_instruct.prompt_sets import load
    from aiev.recipes.verification.audit import by_evidence, choose, read_tasks, resource_of, rows
    from aiev.recipes.verification.settings import Policy
    from aiev.resources.fetch import fetched

    read = read_config(config)
    if prompts:
        load(prompts)  # checked before anything is fetched
        read["dialogues"]["prompts"] = prompts
    path = fetched(resource_of(benchmark), read["resources"], SCRATCH)
    tasks = passable(read_tasks(path))
    audited = _audited(read, tasks, choose(tasks, n, examples), ledger)
    own = Policy.model_validate(read["verification"])
    print("evidence, at least   passed  right  precision [95%]")
    for row in by_evidence(audited, own.min_alike):
        shown = _share(row["right"], row["passed"], wilson_interval)
        print(f"{row['evidence']:9} {row['least']:10} {row['passed']:7} {row['right']:6}  {shown}")
    for row in [row for n in dict.fromkeys((own.min_examples, 0)) for row in rows(audited, own, n)]:
        lower, upper = wilson_interval(row["right"], row["verified"])
        known = {"model": read["models"]["teacher"]["name"], "benchmark": benchmark}
        known |= {"examples": examples, "prompts": read["dialogues"]["prompts"]}
        bounds = {"lower": round(lower, 3), "upper": round(upper, 3)}
        print(json.dumps({**row, **known, **bounds}, sort_keys=True))
    if record:
        write_text(record, "".join(each.record() + "\n" for each in audited))


def _share(right: int, total: int, interval: Callable[[int, int], tuple[float, float]]) -> str:
    if not total:
        return "-"
    lower, upper = interval(right, total)
    return f"{right / total:.0%} [{lower:.0%}, {upper:.0%}]"


def _audited(config: dict[str, Any], tasks: list, problems: list, ledger: Path) -> list:
    """The problems through the loop of AIEV-Instruct, as many at once as dialogues are."""
    import asyncio

    from aiev.core.log import Progress
    from aiev.evaluation.benchmarks.base import ScoringLimits
    from aiev.evaluation.evalplus.hidden import hidden_tests
    from aiev.languages.interpreter import open_interpreter
    from aiev.llm.client import open_client
    from aiev.llm.endpoints import serve, with_server
    from aiev.recipes.aiev_instruct.audited import audit_one
    from aiev.recipes.aiev_instruct.options import Settings
    from aiev.sandbox.api import open_sandbox, with_containers

    execution = {**config["execution"], "ledger": {**config["execution"]["ledger"]}}
    execution["ledger"]["path"] = str(ledger)
    teacher = with_server({**config["models"]["teacher"], "role": "teacher"}, execution)
    sandbox = with_containers(config["sandbox"], execution)
    settings = Settings.of(config)
    in_flight = execution["in_flight"]
    SCRATCH.mkdir(parents=True, exist_ok=True)
    log = Path("logs") / config["name"] / "audit.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    async def write(chat, interpreter, is_right) -> list:
        places: asyncio.Queue[int] = asyncio.Queue()
        for number in range(in_flight):
            places.put_nowait(number)

        async def one(problem):
            place = await places.get()
            found = await audit_one(chat, interpreter, settings, problem, place, is_right)
            places.put_nowait(place)
            progress.step("")
            return found

        async with chat:
            return await asyncio.gather(*map(one, problems))

    with (
        Progress("audit", len(problems), "problem") as progress,
        open_sandbox(**_judging(sandbox)) as judging,
        open_interpreter(sandbox, execution["ledger"], Path(".aiev/layers")) as interpreter,
        serve(teacher, _weights(config), SCRATCH, log, 2 * in_flight) as endpoint,
    ):
        chat = open_client(endpoint, execution, "audit", teacher["timeout_seconds"])
        limits = ScoringLimits.of(config["evaluation"]["scoring"])
        is_right = hidden_tests(tasks, judging, limits)
        return asyncio.run(write(chat, interpreter, is_right))


def _judging(sandbox: dict[str, Any]) -> dict[str, Any]:
    """The part of the config's sandbox that opens one."""
    return {key: sandbox[key] for key in ("backend", "docker") if key in sandbox}


def _weights(config: dict[str, Any]) -> Path | None:
    """The teacher's file, where it is a local one."""
    from aiev.resources.fetch import fetched

    name = config["models"]["teacher"]["resource"]
    return fetched(name, config["resources"], SCRATCH) if name else None
