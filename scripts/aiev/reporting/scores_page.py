"""scores.md: the scores of a run, and what a reader must know about them, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiev.reporting import figure as rounds
from aiev.reporting.labels import label
from aiev.reporting.paired import FIELDS, POOLED
from aiev.reporting.scores import RUN_RATES
from aiev.reporting.styles import base_cells

NONE = "-"


def page(scores: Mapping[str, Any], duels: Mapping[str, Any]) -> str:
    """scores.md: scores, student against base, and rounds, with what the figures rest on."""
    luck = rounds.luck_in_words(duels)
    return "\n".join(
        [
            "# Scores",
            "",
            "Greedy pass@1 in percent, interpreter off.",
            "",
            *markdown(*cells(scores)),
            "",
            *(f"- {note}" for note in notes(scores)),
            "",
            *_reached(scores),
            "## Student and base",
            "",
            "The tuned student against the base model on the same tasks, in percentage points.",
            "In brackets: Newcombe's 95% interval for paired proportions (1998, method 10); of two",
            "benchmarks together, stratified.",
            "",
            *markdown(*comparison_cells(scores)),
            "",
            *_base_styles(scores),
            *_with_interpreter(scores),
            *_held_out_loss(scores),
            *_run_rates(scores),
            "## Rounds",
            "",
            "Teacher and student on each round's test problems: greedy pass@1 in percent,",
            "judged by the hidden tests of the problems' dialogues. In brackets: Wilson's 95%",
            "interval; of the difference, Newcombe's. McNemar's p is exact and two-sided.",
            "",
            *markdown(*rounds.cells(duels)),
            "",
            *([luck, ""] if luck else []),
            "![pass@1 of teacher and student, and the yield, by round](rounds.svg)",
            "",
        ]
    )


def _reached(scores: Mapping[str, Any]) -> list[str]:
    """The section on what answers came to, short of a pass."""
    return [
        "## How far the answers get",
        "",
        "Of all answers, in percent: those that hold code; that parse, or compile where the",
        "language is compiled; that run, which is that every call of the benchmark's own tests",
        "returned, right or wrong. A dash stands where nothing tells.",
        "",
        *markdown(*reached_cells(scores)),
        "",
    ]


def _base_styles(scores: Mapping[str, Any]) -> list[str]:
    """The section on the base in further prompt styles; nothing where the run asks for none."""
    if not scores["base_styles"]:
        return []
    return [
        "## The base in other prompt styles",
        "",
        "All models are asked in the run's own style. A student that beats the base there may have",
        "learnt that style's format, and no more: here the base is asked in other styles, too. The",
        "difference, in percentage points, is the student's score in the run's own style less this",
        "one, on the same tasks. The better one is chosen by these scores, which favours the base.",
        "",
        *markdown(*base_cells(scores)),
        "",
    ]


def _with_interpreter(scores: Mapping[str, Any]) -> list[str]:
    """The section on scores with the interpreter on; nothing where it was off."""
    if not scores["interpreter"]:
        return []
    return [
        "## With the interpreter",
        "",
        "pass@1 in percent where the model is asked to run its solution before it answers, and may",
        "do so `evaluation.max_runs` times. No figure above is like this one. The difference, in",
        "percentage points, is from the same model's greedy score on the same tasks.",
        "",
        *markdown(*interpreter_cells(scores)),
        "",
    ]


def interpreter_cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the scores with the interpreter on as text."""
    header = ["model", "benchmark", "pass@1 [95%]", "difference [95%]", "McNemar's p"]
    rows = []
    for each in scores["models"]:
        for name, own in scores["interpreter"].get(each["model"], {}).items():
            for suffix, field in zip(("", "+"), FIELDS, strict=True):
                if one := own["compared"].get(field):
                    difference = rounds.points(one["difference"], one["interval"])
                    figures = [rounds.percent(own["score"][field]), difference]
                    title = label(name, each["scores"], suffix)
                    rows.append([each["title"], title, *figures, f"{one['mcnemar_p']:.3f}"])
    return header, rows


def _held_out_loss(scores: Mapping[str, Any]) -> list[str]:
    """The section on the held-out loss; nothing where it was not measured."""
    found = scores["held_out_loss"]
    if not found:
        return []
    return [
        "## Loss on held-out dialogues",
        "",
        f"Mean loss of a token on {found['dialogues']} tagged dialogues that no training saw, the",
        "last round's test split: before the last training and after it.",
        "",
        *markdown(["last training", "loss"], [[m, f"{found[m]:.4f}"] for m in ("before", "after")]),
        "",
    ]


def _run_rates(scores: Mapping[str, Any]) -> list[str]:
    """The section on run rates; nothing where they were not measured."""
    if not scores["run_rates"]:
        return []
    return [
        "## Runs of code",
        "",
        "How often an answer holds a run of code where the prompt asks for one and where it",
        "does not, in percent; greedy, interpreter off. In brackets: Wilson's 95% interval. Then:",
        "of the runs that were asked for, those closed, and those after which the turn ends.",
        "",
        *markdown(*run_rate_cells(scores)),
        "",
    ]


def run_rate_cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the run rates as text."""
    header = ["model", *(f"{name} [95%]" for name in RUN_RATES.values())]
    header += ["closed", "turn ended", "prompts of each kind"]
    titles = {each["model"]: each["title"] for each in scores["models"]}
    rows = []
    for model, measured in sorted(scores["run_rates"].items()):
        asked = measured["asked"]
        rates = [rounds.percent(measured[kind]["run"]) for kind in RUN_RATES]
        ends = [f"{asked[name]} of {asked['run']['correct']}" for name in ("closed", "ended")]
        rows.append([titles[model], *rates, *ends, str(asked["run"]["total"])])
    return header, rows


def markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    """A table, line by line."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines]


def cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table as text: the run's models, then published figures."""
    known = scores["models"][0]["scores"]
    header = ["model"]
    for name, score in known.items():
        plus = [f"{label(name, known, '+')} [95%]"] if _has_plus(score) else []
        header += [f"{label(name, known)} [95%]", *plus, "tasks"]
    rows = [
        [m["title"], *(c for score in m["scores"].values() for c in _measured(score))]
        for m in scores["models"]
    ]
    rows += [
        [p["title"], *(c for b, score in known.items() for c in _published(p.get(b), score))]
        for p in scores["paper"]
    ]
    return header, rows


def reached_cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of how far the answers get as text."""
    header = ["model", "benchmark", "code [95%]", "parses [95%]", "runs [95%]", "pass@1 [95%]"]
    rows = []
    for each in scores["models"]:
        for name, score in each["scores"].items():
            shares = [score["reached"][part] for part in ("code", "parses", "runs")]
            figures = map(rounds.percent, [*shares, score["base"]])
            rows.append([each["title"], label(name, each["scores"]), *figures])
    return header, rows


def _has_plus(score: Mapping[str, Any]) -> bool:
    """Whether the benchmark has further tests, here or in the paper."""
    return score["plus"] is not None or any(len(f) > 1 for f in score["paper"].values())


def _measured(score: Mapping[str, Any]) -> list[str]:
    plus = [rounds.percent(score["plus"])] if _has_plus(score) else []
    return [rounds.percent(score["base"]), *plus, str(score["tasks"])]


def _published(figures: Sequence[float] | None, score: Mapping[str, Any]) -> list[str]:
    width = 1 + _has_plus(score)
    if figures is None:
        return [NONE] * (width + 1)
    shown = [f"{figure:.1f}" for figure in figures]
    return [*shown, *[NONE] * (width - len(shown)), str(score["size"] or NONE)]


def comparison_cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of student against base as text."""
    header = ["benchmark", "student only", "base only", "difference [95%]", "McNemar's p"]
    rows = []
    for name, fields in scores["student_vs_base"].items():
        for suffix, one in zip(("", "+"), fields.values(), strict=True):
            if one:
                title = label(name, scores["models"][0]["scores"], suffix)
                counts = [str(one["only_student"]), str(one["only_base"])]
                difference = rounds.points(one["difference"], one["interval"])
                rows.append([title, *counts, difference, f"{one['mcnemar_p']:.3f}"])
    if together := scores["pooled"]:
        for suffix, field in zip(("", "+"), FIELDS, strict=True):
            if one := together[field]:
                title = " and ".join(f"{title}{suffix}" for title in POOLED)
                counts = [str(one["only_student"]), str(one["only_base"])]
                difference = rounds.points(one["difference"], one["interval"])
                title += f", {together['tasks']} tasks"
                rows.append([title, *counts, difference, f"{one['mcnemar_p']:.3f}"])
    return header, rows


def notes(scores: Mapping[str, Any]) -> list[str]:
    """What a reader must know before comparing the rows."""
    found = ["In brackets: Wilson's 95% interval for so many tasks."]
    known = scores["models"][0]["scores"]
    for name, score in known.items():
        title = label(name, known)
        versions = [f"{tool}: {said}" for tool, said in score.get("versions", {}).items()]
        found.append(f"{title}: judged by {'; '.join([score['evaluator'], *versions])}.")
        found.append(f"{title}: {_style(name, scores['models'])}.")
        if score["size"] and score["tasks"] < score["size"]:
            named = "ids" in score["subset"]
            how = "which the config names" if named else "chosen by a hash of their ids"
            found.append(
                f"{title}: a subset of {score['tasks']} of {score['size']} tasks, {how}; published "
                "figures are on all."
            )
        if score["exceptions"]:
            found.append(
                f"{title}: the canonical solution of {', '.join(score['exceptions'])} does not "
                "pass; counted as failed for every model."
            )
        for reason, number in score["left_out"].items():
            found.append(f"{title}: {number} of its tasks are not scored: {reason}.")
        found += _lost(name, scores["models"])
    return found


def _style(benchmark: str, models: Sequence[Mapping[str, Any]]) -> str:
    """In which style the models were asked, and for which of them it was prefilled."""
    style = models[0]["scores"][benchmark]["style"]["name"]
    each = {m["title"]: m["scores"][benchmark]["style"]["prefilled"] for m in models}
    words = f"asked in the prompt style {style}"
    if not any(each.values()):
        return f"{words}, nothing prefilled"
    without = [title for title, prefilled in each.items() if not prefilled]
    but = f" but for {', '.join(without)}, whose endpoint cannot go on with one" if without else ""
    return f"{words}, the answer's beginning prefilled{but}"


def _lost(benchmark: str, models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How many answers of each model failed because they were cut off, refused, ..."""
    for model in models:
        score = model["scores"][benchmark]
        lost = {k: n for k, n in score["answers"].items() if k not in ("asked", "asked-again")}
        if lost:
            words = ", ".join(f"{number} {reason}" for reason, number in lost.items())
            title = label(benchmark, model["scores"])
            yield f"{title}: answers of {model['title']} counted as failed: {words}."
