"""What earlier runs took for each dialogue and call: the expected side of a plan.

Read from the reports of finished rounds and trainings under results/, from the records of which
answers they used, and from the ledger's account of what these took. Only runs of the same teacher
count: another one writes other answers.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.llm.costs import Costs

Answers = Callable[[Path], list[str] | None]
"""Keys of the ledger's answers from which an output was made; None where there is no record."""

_ASKED_FOR = (
    "rounds/*/dialogues/*.jsonl",
    "rounds/*/duel.json",
    "eval/*/*/samples.jsonl",
    "eval/*/*/styles/*/samples.jsonl",
    "eval/*/run_rate.json",
)
"""Outputs of a run that are made from answers."""


@dataclass(frozen=True)
class Rates:
    """Measured rates, None or missing where nothing was measured.

    calls: for each dialogue. verified: share of dialogues. tokens: of one training dialogue.
    per_call: (stage, model) -> tokens of the prompt and of the completion, for each call.
    runs: names of the runs that were read.
    """

    calls: float | None = None
    verified: float | None = None
    tokens: float | None = None
    per_call: Mapping[tuple[str, str], tuple[float, float]] | None = None
    runs: tuple[str, ...] = ()

    def of_call(self, stage: str, model: str) -> tuple[float, float] | None:
        return (self.per_call or {}).get((stage, model))


@dataclass(frozen=True)
class LaptopRates(Rates):
    """What the laptop run took, for a teacher of which no run is on record here.

    Measured on 2026-11-30: Qwen2.5-Coder-0.5B with the prompts `small`, on 24 seeds. Every dialogue
    counts as verified, as nothing is known of the share, so that the duels are not taken too low.
    """

    calls: float | None = 7.5
    verified: float | None = 1.0

    def of_call(self, stage: str, model: str) -> tuple[float, float] | None:
        return _LAPTOP_CALLS.get(stage)


_LAPTOP_CALLS = {
    "dialogues": (248.0, 111.0),
    "duel": (157.0, 87.0),
    "samples": (180.0, 302.0),
    "run-rate": (57.0, 110.0),
}
"""Tokens of the prompt and of the completion, for each call; of all models together."""

PAPER_USD = 1000 / 6500
"""Dollars that the paper paid GPT-4 Turbo for a dialogue (arXiv 2405.14906)."""


def rates_of(
    teacher: str, spending: Costs, answers: Answers, results: Path = Path("results")
) -> Rates:
    """Rates of all finished rounds that this teacher wrote; the laptop run's where there are none.
    teacher: its name in the config."""
    dialogues = verified = asked = counted = examples = tokens = 0
    used: set[str] = set()
    runs = []
    for run in sorted(results.glob("*")):
        rounds = [place for place in sorted(run.glob("rounds/*")) if _writer(place) == teacher]
        if not rounds:
            continue
        runs.append(run.name)
        for place in rounds:
            report = _report(place / "report.json")
            if not report:
                continue
            dialogues += report["dialogues"]
            verified += report["verified"]
            keys = [answers(path) for path in place.glob("dialogues/*.jsonl")]
            if None not in keys:
                asked += len({key for each in keys for key in each})
                counted += report["dialogues"]
        for pattern in _ASKED_FOR:
            for path in run.glob(pattern):
                used.update(answers(path) or ())
        trained = _report(run / "training.json")
        examples += trained["examples"] if trained else 0
        tokens += trained["tokens"] if trained else 0
    if not dialogues:
        return LaptopRates()
    return Rates(
        calls=asked / counted if counted else None,
        verified=verified / dialogues if dialogues else None,
        tokens=tokens / examples if examples else None,
        per_call=_per_call(spending.path, used),
        runs=tuple(runs),
    )


def _per_call(account: Path, used: set[str]) -> dict[tuple[str, str], tuple[float, float]]:
    """Mean tokens of the calls that gave the answers with the keys `used`."""
    sums: dict[tuple[str, str], list[int]] = {}
    for line in _lines(account):
        try:
            event = json.loads(line)
            if event.get("paid") not in used:
                continue
            prompt, completion = map(int, event["tokens"])
            found = sums.setdefault((str(event["stage"]), str(event["model"])), [0, 0, 0])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # half a line, of a crash or a full disk
        found[:] = found[0] + 1, found[1] + prompt, found[2] + completion
    return {key: (prompt / n, completion / n) for key, (n, prompt, completion) in sums.items()}


def _lines(path: Path) -> Iterable[bytes]:
    if path.is_file():
        with open(path, "rb") as file:
            yield from file


def _report(path: Path) -> dict[str, Any] | None:
    """A report of ours; None where there is none yet, or an older version's."""
    try:
        found = read_json(path) if path.is_file() else None
    except UserError:
        return None
    needed = {"report.json": ("dialogues", "verified"), "training.json": ("examples", "tokens")}
    whole = isinstance(found, dict) and all(
        isinstance(found.get(key), int) for key in needed[path.name]
    )
    return found if whole else None


def _writer(place: Path) -> str:
    """Name of the model that wrote a round's first dialogue; "" where there is none."""
    for path in sorted(place.glob("dialogues/*.jsonl")):
        with open(path, encoding="utf-8") as file:
            first = file.readline()
        try:
            return str(json.loads(first)["model"]).rpartition("@")[0]
        except (ValueError, KeyError, TypeError):
            continue
    return ""
