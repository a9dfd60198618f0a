"""What a run would do and cost, before it starts: upper bounds of questions, tokens, dollars."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.engine.events import Job
from aiev.llm.costs import Costs, cost_table
from aiev.llm.endpoints import needs_weights
from aiev.llm.requests import ROOM
from aiev.reporting.terminal import columns

Asked = tuple[tuple[str, ...], int | None, int]
"""Roles, of which one is asked; number of questions, None where it is not known; maximum number of
tokens of all answers."""


@dataclass(frozen=True)
class Bound:
    """Upper bounds for all jobs of a rule and one model: questions, tokens read and written."""

    rule: str
    model: str
    questions: int = 0
    read: int = 0
    written: int = 0
    usd: float = 0.0

    def plus(self, questions: int, read: int, written: int, usd: float) -> "Bound":
        sums = (self.questions + questions, self.read + read, self.written + written)
        return Bound(self.rule, self.model, *sums, self.usd + usd)

    def cells(self) -> list[str]:
        numbers = (self.questions, self.read, self.written)
        return [self.rule, self.model, *(f"{n:,}" for n in numbers), f"{self.usd:,.4f}"]


class Bounds:
    """The upper bounds of a planned run.

    by_model: by rule and model. unknown: benchmarks whose number of tasks is not known yet; they
    are in no sum.
    """

    def __init__(self, config: Mapping[str, Any], jobs: Sequence[Job], spending: Costs):
        self._config, self._spending = config, spending
        self._made = {path for job in jobs for path in job.outputs()}
        self._run = Path("results", config["name"])
        self.by_model: dict[tuple[str, str], Bound] = {}
        self.unknown: set[str] = set()
        for job in jobs:
            for roles, questions, written in self._questions(job):
                if questions is None:
                    self.unknown.add(job.wildcards()["benchmark"])
                else:
                    # Each answer may be cut off, and asked for again with more room.
                    self._add(job.rule, roles, 2 * questions, (1 + ROOM) * written)

    def total(self) -> Bound:
        total = Bound("all", "all")
        for one in self.by_model.values():
            total = total.plus(one.questions, one.read, one.written, one.usd)
        return total

    def _questions(self, job: Job) -> Iterator[Asked]:
        if job.rule == "write_dialogues":
            yield self._dialogues(job)
        elif job.rule == "run_duel":
            yield from self._duel(job)
        elif job.rule == "generate_samples":
            yield self._samples(job)
        elif job.rule == "measure_run_rate":
            own = self._config["evaluation"]["run_rate"]
            questions = 2 * own["prompts"]
            yield (job.wildcards()["model"],), questions, questions * own["max_tokens"]

    def _dialogues(self, job: Job) -> Asked:
        """A problem, a solution, and a description and a revision for each feedback round.
        Solutions and revisions are sampled up to `dialogues.answers` times."""
        own, seeds = self._config["dialogues"], self._config["seeds"]["per_shard"]
        limits, feedback = own["sampling"], own["feedback_rounds"]
        answers = (1 + feedback) * own["answers"]
        written = limits["problem_tokens"] + answers * limits["solution_tokens"]
        written += feedback * limits["description_tokens"]
        # Which of the two writes a later round is known once the gate before it has decided.
        roles = ("teacher",) if job.wildcards()["round"] == "0" else ("teacher", "student")
        return roles, seeds * (1 + answers + feedback), seeds * written

    def _duel(self, job: Job) -> Iterator[Asked]:
        """The greedy answer and the samples of both models for each test problem. A round that is
        not written yet counts as if all its dialogues became test problems."""
        own = self._config["duel"]
        test = self._run / "rounds" / job.wildcards()["round"] / "test.jsonl"
        known = self._lines(test)
        problems = self._config["rounds"]["dialogues"] if known is None else known
        questions = problems * (1 + own["samples"])
        for role in ("teacher", "student"):
            yield (role,), questions, questions * own["max_tokens"]

    def _samples(self, job: Job) -> Asked:
        name, model = (job.wildcards()[key] for key in ("benchmark", "model"))
        subset = self._config["evaluation"]["benchmarks"][name]["subset"]
        tasks = self._lines(self._run / "eval" / f"{name}.jsonl")
        if tasks is None:
            tasks = subset or self._lines(Path("resources/benchmarks", f"{name}.jsonl"))
        return (model,), tasks, (tasks or 0) * self._config["evaluation"]["max_tokens"]

    def _lines(self, path: Path) -> int | None:
        """Number of lines of a file that exists and is not made again; else None."""
        if path.as_posix() in self._made or not path.exists():
            return None
        return path.read_bytes().count(b"\n")

    def _add(self, rule: str, roles: tuple[str, ...], questions: int, written: int) -> None:
        model = " or ".join(roles)
        reads = [questions * behind(self._config, role)["context_tokens"] for role in roles]
        names = [asked_as(self._config, role) for role in roles]
        costs = [self._spending.usd(n, (r, written)) for n, r in zip(names, reads, strict=True)]
        found = self.by_model.get((rule, model), Bound(rule, model))
        self.by_model[rule, model] = found.plus(questions, max(reads), written, max(costs))


def behind(config: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    """The config section of the model that plays teacher, student or base."""
    return config["models"]["teacher" if role == "teacher" else "student"]


def asked_as(config: Mapping[str, Any], role: str) -> str:
    """The model's name in requests and in the table of prices."""
    name = behind(config, role)["name"]
    return name if role == "teacher" else f"{role}-{name}"


def screen(config: Mapping[str, Any], jobs: Sequence[Job], spending: Costs) -> str:
    """One screen of text: the jobs of a run, upper bounds of its questions, and costs so far."""
    counts = Counter(job.rule for job in jobs if job.outputs())
    lines = ["nothing to do: everything that this run makes is up to date"]
    if counts:
        lines = [f"{counts.total()} jobs would start:", *_in_columns(counts), ""]
        lines += _bounds(config, Bounds(config, jobs, spending))
    lines += ["", *_spent(config, spending)]
    return "\n".join(lines) + "\n"


def _in_columns(counts: Counter, across: int = 3) -> list[str]:
    wide = len(str(max(counts.values())))
    cells = [f"{number:{wide}} {rule}" for rule, number in counts.items()]
    cells += [""] * (-len(cells) % across)
    found = [cells[n : n + across] for n in range(0, len(cells), across)]
    return [f"  {line}" for line in columns(found, names=across)]


def _bounds(config: Mapping[str, Any], bounds: Bounds) -> list[str]:
    if config["execution"]["ledger"]["mode"] == "replay":
        return ["no model would be asked: execution.ledger.mode is replay"]
    if not bounds.by_model and not bounds.unknown:
        return ["no model would be asked"]
    table = [["jobs that ask", "model", "questions", "tokens read", "written", "usd"]]
    table += [one.cells() for one in bounds.by_model.values()]
    table += [bounds.total().cells()] if len(bounds.by_model) > 1 else []
    lines = [
        "upper bounds; answers and results that are stored already cost nothing:",
        *columns(table, names=2),
    ]
    return lines + list(_remarks(config, bounds))


def _remarks(config: Mapping[str, Any], bounds: Bounds) -> Iterator[str]:
    """What the bounds assume and leave out."""
    for name in sorted(bounds.unknown):
        yield f"not in the sum: {name}, whose number of tasks is not known before it is prepared"
    served = [role for role in _roles(bounds) if not needs_weights(behind(config, role))]
    if served:
        yield "tokens read: models.*.context_tokens for each question, the most that fits"
    names = [asked_as(config, role) for role in served]
    missing = [name for name in names if name not in config["execution"]["prices"]]
    if missing:
        yield f"no price in the config, counted as $0: {', '.join(missing)}"


def _roles(bounds: Bounds) -> Iterable[str]:
    return sorted({role for _, model in bounds.by_model for role in model.split(" or ")})


def _spent(config: Mapping[str, Any], spending: Costs) -> list[str]:
    """Costs so far by model, and the budget."""
    found = [row[1:] for row in cost_table(spending) if row[0] in ("stage", "all")]
    if not spending.tally().paid:
        lines = ["nothing was paid for so far"]
    else:
        lines = ["paid for so far, over all runs (by stage: aiev costs):", *columns(found)]
    usd, tokens = (config["execution"]["budget"][key] for key in ("usd", "tokens"))
    limits = [f"${usd:,.2f}"] if usd is not None else []
    limits += [f"{tokens:,} tokens"] if tokens is not None else []
    return [*lines, f"budget, over all runs: {' and '.join(limits) or 'none'}"]
