"""What a planned run asks: upper bounds of its calls, tokens and dollars, and what is expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiev.evaluation.subsets import size_of, subset_of
from aiev.llm.costs import Costs
from aiev.llm.requests import ROOM
from aiev.recipes import RECIPES
from aiev.reporting.rates import Rates

if TYPE_CHECKING:
    from aiev.engine.events import Job

STAGES = {
    "write_dialogues": "dialogues",
    "run_duel": "duel",
    "generate_samples": "samples",
    "generate_in_style": "samples",
    "measure_run_rate": "run-rate",
    "generate_with_interpreter": "interpreter",
}
"""Rules that ask models, by the stage under which their calls are paid for."""

ASKED_ONCE = ("measure_run_rate", "generate_with_interpreter")
"""Rules that do not ask again for an answer that was cut off."""


@dataclass(frozen=True)
class Asked:
    """What one job asks one of `roles`, if no answer is cut off: at most, and as many calls as
    earlier runs took (None: not known).

    questions is None where the number of tasks is not known.
    """

    roles: tuple[str, ...]
    questions: int | None
    written: int
    expected: float | None = None


@dataclass(frozen=True)
class Amount:
    """Calls, tokens read and written, dollars; of all jobs of a rule and a model."""

    calls: float = 0
    read: float = 0
    written: float = 0
    usd: float = 0.0

    def plus(self, other: "Amount") -> "Amount":
        pairs = zip(self.numbers(), other.numbers(), strict=True)
        return Amount(*(one + another for one, another in pairs))

    def numbers(self) -> tuple[float, float, float, float]:
        return self.calls, self.read, self.written, self.usd


@dataclass(frozen=True)
class Bound:
    """The upper bound for a rule and a model, and what is expected; None where not known."""

    most: Amount = field(default_factory=Amount)
    expected: Amount | None = field(default_factory=Amount)

    def plus(self, other: "Bound") -> "Bound":
        known = self.expected is not None and other.expected is not None
        return Bound(
            self.most.plus(other.most), self.expected.plus(other.expected) if known else None
        )


class Bounds:
    """The bounds of a planned run.

    by_model: by rule and model. unknown: benchmarks whose number of tasks is not known yet, and
    "dialogues" for a recipe that does not say what it asks; they are in no sum.
    """

    def __init__(
        self, config: Mapping[str, Any], jobs: Sequence["Job"], spending: Costs, rates: Rates
    ):
        self._config, self._spending, self._rates = config, spending, rates
        self._made = {path for job in jobs for path in job.outputs()}
        self._run = Path("results", config["name"])
        self.by_model: dict[tuple[str, str], Bound] = {}
        self.unknown: set[str] = set()
        for job in jobs:
            for asked in self._questions(job):
                if asked.questions is None:
                    self.unknown.add(job.wildcards().get("benchmark", "dialogues"))
                else:
                    self._add(job.rule, asked)

    def total(self) -> Bound:
        total = Bound()
        for one in self.by_model.values():
            total = total.plus(one)
        return total

    def _questions(self, job: "Job") -> Iterator[Asked]:
        if job.rule == "write_dialogues":
            yield self._dialogues(job)
        elif job.rule == "run_duel":
            yield from self._duel(job)
        elif job.rule in ("generate_samples", "generate_in_style"):
            yield self._samples(job)
        elif job.rule == "generate_with_interpreter":
            once, times = self._samples(job), 1 + self._config["evaluation"]["max_runs"]
            most = None if once.questions is None else once.questions * times
            yield Asked(once.roles, most, once.written * times)
        elif job.rule == "measure_run_rate":
            own = self._config["evaluation"]["run_rate"]
            questions = 2 * own["prompts"]
            written = questions * own["max_tokens"]
            yield Asked((job.wildcards()["model"],), questions, written, questions)

    def _dialogues(self, job: "Job") -> Asked:
        seeds = self._config["seeds"]["per_shard"]
        # Which of the two writes a later round is known once the gate before it has decided.
        roles = ("teacher",) if job.wildcards()["round"] == "0" else ("teacher", "student")
        recipe = RECIPES.get(self._config["dialogues"]["recipe"])
        if not hasattr(recipe, "most_asked"):  # a user's own need not know
            return Asked(roles, None, 0)
        questions, written = recipe.most_asked(self._config["dialogues"])
        each = self._rates.calls
        return Asked(roles, seeds * questions, seeds * written, each and seeds * each)

    def _duel(self, job: "Job") -> Iterator[Asked]:
        """The greedy answer and the samples of both models for each test problem. A round that is
        not written yet has at most as many test problems as dialogues."""
        own, rounds = self._config["duel"], self._config["rounds"]
        known = self._lines(self._run / "rounds" / job.wildcards()["round"] / "test.jsonl")
        problems = rounds["dialogues"] if known is None else known
        expected = None if known is None else float(known)
        if known is None and self._rates.verified is not None:
            share = rounds["split"]["test_share"] * self._rates.verified
            least = min(rounds["split"]["minimum_test"], rounds["dialogues"])
            expected = max(rounds["dialogues"] * share, least)
        samples = 1 + own["samples"]
        for role in ("teacher", "student"):
            questions = problems * samples
            likely = None if expected is None else expected * samples
            yield Asked((role,), questions, questions * own["max_tokens"], likely)

    def _samples(self, job: "Job") -> Asked:
        name, model = (job.wildcards()[key] for key in ("benchmark", "model"))
        tasks = self._lines(self._run / "eval" / f"{name}.jsonl")
        if tasks is None:
            subset = subset_of(self._config["evaluation"]["benchmarks"][name])
            whole = self._lines(Path("resources/benchmarks", f"{name}.jsonl"))
            tasks = size_of(subset, whole)
        written = (tasks or 0) * self._config["evaluation"]["max_tokens"]
        return Asked((model,), tasks, written, tasks)

    def _lines(self, path: Path) -> int | None:
        """Number of lines of a file that exists and is not made again; else None."""
        if path.as_posix() in self._made or not path.exists():
            return None
        return path.read_bytes().count(b"\n")

    def _add(self, rule: str, asked: Asked) -> None:
        key = rule, " or ".join(asked.roles)
        each = [self._bound(rule, role, asked) for role in asked.roles]
        columns = zip(*(one.most.numbers() for one in each), strict=True)
        most = Amount(*map(max, columns))
        # Of two possible authors, the teacher is the one whose rates are known before the run.
        found = Bound(most, each[0].expected)
        self.by_model[key] = self.by_model.get(key, Bound()).plus(found)

    def _bound(self, rule: str, role: str, asked: Asked) -> Bound:
        name = asked_as(self._config, role)
        # Each answer may be cut off, and asked for again with more room.
        again = rule not in ASKED_ONCE
        calls = (1 + again) * (asked.questions or 0)
        written = (1 + again * ROOM) * asked.written
        read = calls * behind(self._config, role)["context_tokens"]
        most = self._amount(name, calls, read, written)
        rate = self._rates.of_call(STAGES[rule], name)
        if asked.expected is None or rate is None:
            return Bound(most, None)
        prompt, completion = rate
        # Answers may be allowed fewer tokens than those had in which the rate was measured.
        completion = min(completion, asked.written / max(asked.questions or 0, 1))
        expected = (asked.expected, asked.expected * prompt, asked.expected * completion)
        return Bound(most, self._amount(name, *map(min, expected, (calls, read, written))))

    def _amount(self, name: str, calls: float, read: float, written: float) -> Amount:
        return Amount(calls, read, written, self._spending.usd(name, (read, written)))


def behind(config: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    """The config section of the model that plays teacher, student or base."""
    return config["models"]["teacher" if role == "teacher" else "student"]


def asked_as(config: Mapping[str, Any], role: str) -> str:
    """The model's name in requests and in the table of prices."""
    name = behind(config, role)["name"]
    return name if role == "teacher" else f"{role}-{name}"
