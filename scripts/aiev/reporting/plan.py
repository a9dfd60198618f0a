"""`aiev plan`: what a run would do and cost, before it starts, as one screen of text or as JSON."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

from aiev.core.errors import UserError
from aiev.engine.events import Job
from aiev.llm.costs import Costs, cost_table
from aiev.llm.endpoints import needs_weights
from aiev.reporting.bounds import Bounds, asked_as, behind
from aiev.reporting.rates import PAPER_USD, LaptopRates, Rates
from aiev.reporting.terminal import columns
from aiev.reporting.trainings import GIB, Trainings, trainings

ACCELERATOR_MEMORY = (
    "weights",
    "gradients",
    "optimiser",
    "gathered",
    "activations",
    "logits",
)


@dataclass(frozen=True)
class Plan:
    """A planned run. unknown_size: why the trainings' size is not known; "" where it is."""

    config: Mapping[str, Any]
    counts: Counter[str]
    bounds: Bounds
    rates: Rates
    trainings: Trainings | None
    unknown_size: str
    spending: Costs

    @property
    def asks(self) -> bool:
        return self.config["execution"]["ledger"]["mode"] != "replay"

    @property
    def dialogues(self) -> int:
        """Dialogues that would be written, in full shards."""
        return self.counts["write_dialogues"] * self.config["seeds"]["per_shard"]

    def paper_usd(self) -> float | None:
        """What the paper paid for as many dialogues; None where the teacher costs nothing, or where
        it is known what it costs."""
        prices = self.config["execution"]["prices"]
        paid = prices.get(asked_as(self.config, "teacher"), {})
        if not isinstance(self.rates, LaptopRates) or not any(paid.values()):
            return None
        return self.dialogues * PAPER_USD

    def hours_of_answers(self) -> tuple[float | None, float | None]:
        """Hours in which the slots of the models' servers write all answers, one job at a time:
        expected and at most."""
        speed = self.config["execution"]["plan"]["tokens_per_second"]
        if not speed or not self.asks:
            return None, None
        expected, most = 0.0, 0.0
        for (_, model), bound in self.bounds.by_model.items():
            role = "teacher" if model.startswith("teacher") else "student"
            slots = self.config["execution"]["models"][role]["slots"]
            most += bound.most.written / speed / slots / 3600
            known = expected is not None and bound.expected is not None
            expected = expected + bound.expected.written / speed / slots / 3600 if known else None
        return expected, most


def plan_of(config: Mapping[str, Any], jobs: Sequence[Job], spending: Costs, rates: Rates) -> Plan:
    """The plan of a run, given a dry run's jobs."""
    counts = Counter(job.rule for job in jobs if job.outputs())
    found, unknown = None, ""
    try:
        found = trainings(config, jobs, rates)
    except UserError as error:
        unknown = f"{error.message} ({error.where})"
    bounds = Bounds(config, jobs, spending, rates)
    return Plan(config, counts, bounds, rates, found, unknown, spending)


def as_json(plan: Plan) -> dict[str, Any]:
    """All of a plan, for other programs. Of two numbers the first is expected, the second the most;
    null is not known. Memory and disk are in bytes."""
    asked = [
        {
            "rule": rule,
            "model": model,
            "most": asdict(bound.most),
            "expected": asdict(bound.expected) if bound.expected else None,
        }
        for (rule, model), bound in plan.bounds.by_model.items()
    ]
    return {
        "jobs": dict(plan.counts),
        "asked": asked if plan.asks else [],
        "unknown": sorted(plan.bounds.unknown) if plan.asks else [],
        "hours_of_answers": plan.hours_of_answers(),
        "training": plan.trainings.as_json() if plan.trainings else None,
        "unknown_size": plan.unknown_size,
        "rates": {
            "runs": plan.rates.runs,
            "of_this_teacher": not isinstance(plan.rates, LaptopRates),
            "paper_usd": plan.paper_usd(),
            "calls": plan.rates.calls,
            "verified": plan.rates.verified,
            "tokens": plan.rates.tokens,
        },
        "budget": dict(plan.config["execution"]["budget"]),
    }


def screen(plan: Plan) -> str:
    """The plan as text: jobs, questions, trainings, and costs so far."""
    lines = ["nothing to do: everything that this run makes is up to date"]
    if plan.counts:
        lines = [f"{plan.counts.total()} jobs would start:", *_in_columns(plan.counts), ""]
        lines += [*_asked(plan), *_trained(plan)]
    lines += ["", *_spent(plan.config, plan.spending)]
    return "\n".join(lines) + "\n"


def _in_columns(counts: Counter, across: int = 3) -> list[str]:
    wide = len(str(max(counts.values())))
    cells = [f"{number:{wide}} {rule}" for rule, number in counts.items()]
    cells += [""] * (-len(cells) % across)
    found = [cells[n : n + across] for n in range(0, len(cells), across)]
    return [f"  {line}" for line in columns(found, names=across)]


def _asked(plan: Plan) -> list[str]:
    bounds = plan.bounds
    if not plan.asks:
        return ["no model would be asked: execution.ledger.mode is replay"]
    if not bounds.by_model and not bounds.unknown:
        return ["no model would be asked"]
    table = [["jobs that ask", "model", "calls", "tokens read", "written", "usd"]]
    rows = [*bounds.by_model.items()]
    rows += [(("all", "all"), bounds.total())] if len(rows) > 1 else []
    for names, bound in rows:
        likely = bound.expected.numbers() if bound.expected else (None,) * 4
        pairs = zip(likely, bound.most.numbers(), (short, short, short, money), strict=True)
        table.append([*names, *(between(low, high, show) for low, high, show in pairs)])
    runs = ", ".join([*plan.rates.runs[:2], *["..."] * bool(plan.rates.runs[2:])])
    likely = f"as in earlier runs ({runs})" if runs else "as in the laptop run"
    lines = [
        f"{likely} - at most; answers and results that are stored already cost nothing:",
        *columns(table, names=2),
    ]
    if not runs:
        lines.append("no round with this teacher is on record; plan again after a first one:")
        lines.append("  a teacher stronger than the laptop run's writes longer answers")
        if paper := plan.paper_usd():
            text = f"the paper paid GPT-4 Turbo about $1,000 for 6,500 dialogues: ${paper:,.0f}"
            lines.append(f"  {text} for these {plan.dialogues:,}")
    return lines + list(_remarks(plan.config, bounds))


def _remarks(config: Mapping[str, Any], bounds: Bounds) -> Iterator[str]:
    """What the bounds assume and leave out."""
    if benchmarks := sorted(bounds.unknown - {"dialogues"}):
        why = "whose number of tasks is not known before they are prepared"
        text = f"not in the sum: {', '.join(benchmarks)}, {why}"
        yield from wrap(text, 100, subsequent_indent="  ", break_on_hyphens=False)
    if "dialogues" in bounds.unknown:
        yield "not in the sum: dialogues, of a recipe that does not say what it asks"
    served = [role for role in _roles(bounds) if not needs_weights(behind(config, role))]
    if served:
        yield "tokens read at most: models.*.context_tokens for each call, the most that fits"
    names = [asked_as(config, role) for role in served]
    missing = [name for name in names if name not in config["execution"]["prices"]]
    if missing:
        yield f"no price in the config, counted as $0: {', '.join(missing)}"


def _roles(bounds: Bounds) -> Iterable[str]:
    return sorted({role for _, model in bounds.by_model for role in model.split(" or ")})


def _trained(plan: Plan) -> Iterator[str]:
    if plan.unknown_size:
        yield "memory and hours of training are not known:"
        yield f"  {plan.unknown_size}"
    found = plan.trainings
    if not found:
        return
    params, reckoned = plan.config["training"], plan.config["execution"]["plan"]
    name = plan.config["models"]["student"]["name"]
    number, ranks = len(found.each), params["accelerators"]
    lora = f", {found.trained:,} of LoRA" if params["lora"] else ""
    yield (
        f"{number} training{'s' * (number > 1)} of {name} ({found.parameters:,} parameters{lora}) "
        f"in {params['precision']} on {ranks} accelerator{'s' * (ranks > 1)}"
    )
    yield from _memory(found, reckoned["accelerator_gib"])
    peak = f" ({reckoned['mfu']:.0%} of {reckoned['accelerator_tflops'] or 0:g} TFLOPS)"
    hours = between(*found.total("accelerator_hours"), short)
    tokens = between(*found.total("tokens"), short)
    yield f"tokens trained on: {tokens}; accelerator hours: {hours}{peak if hours != '?' else ''}"
    answers, training = (
        between(*pair, short) for pair in (plan.hours_of_answers(), found.total("hours"))
    )
    if not plan.config["execution"]["plan"]["tokens_per_second"]:
        answers = "unknown (set execution.plan.tokens_per_second)"
    yield f"wall-clock hours, jobs in sequence: generation {answers}, training {training}"
    sizes = (found.model_bytes, found.largest_file, found.disk_bytes)
    model, largest, disk = (f"{size / GIB:,.1f}" for size in sizes)
    yield f"disk, GiB: {model} for each model, its largest file {largest}; {disk} for all"


def _memory(found: Trainings, room: float | None) -> Iterator[str]:
    memory = found.memory
    total = f"memory of each, GiB: {memory.total / GIB:.1f}"
    if found.too_much is not None:
        verdict = f"{found.too_much / GIB:.1f} too much" if found.too_much else "fits"
        total = f"{total} of {room:g}, {verdict}"
    number = found.processes
    host = f"of the host, with {number} process{'es' * (number > 1)} on a node, GiB"
    yield f"{total}; {host}: {found.host_bytes / GIB:.1f}"
    parts = [f"{name} {getattr(memory, name) / GIB:.1f}" for name in ACCELERATOR_MEMORY]
    away = f", on the host {memory.offloaded / GIB:.1f}" if memory.offloaded else ""
    yield f"  {', '.join(parts)}{away}"


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


def between(expected: float | None, most: float | None, show: Any) -> str:
    """A range in a cell; only the upper end where nothing else is known, "?" without one."""
    if most is None:
        return "?"
    if expected is None or show(expected) == show(most):
        return show(most)
    return f"{show(expected)} - {show(most)}"


def short(number: float) -> str:
    """A number with three digits: 950, 12.3K, 4.56M."""
    unit = 0
    while abs(number) >= 999.5 and unit < 4:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g}{['', 'K', 'M', 'G', 'T'][unit]}"


def money(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 100 else f"{usd:,.4f}"
