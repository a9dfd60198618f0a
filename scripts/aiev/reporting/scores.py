"""What a run ends with: its scores beside the paper's, for files and for the terminal.

Source of the paper's figures: "AutoCoder: Enhancing Code Large Language Model with AIEV-Instruct",
arXiv 2405.14906; greedy pass@1 by EvalPlus in percent, [base, plus].
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiev.core.errors import UserError
from aiev.reporting import figure as rounds

BENCHMARKS = {"humaneval": ("HumanEval", 164), "mbpp": ("MBPP", 378)}
"""Title, and number of tasks in all, by the benchmark's name in the config."""

PAPER = [
    {"title": "AutoCoder 33B (paper)", "humaneval": [90.9, 78.0], "mbpp": [82.5, 70.6]},
    {"title": "AutoCoder-S 6.7B (paper)", "humaneval": [78.7, 72.0], "mbpp": [79.4, 69.8]},
    {"title": "GPT-4 Turbo 2024-04 (paper)", "humaneval": [90.2, 86.6], "mbpp": [85.7, 73.3]},
]

WIDTH, HEIGHT = 80, 24
"""Columns and lines of a terminal that shows the summary at once."""

NONE = "-"


def table(scores: Iterable[Mapping[str, Any]], titles: Mapping[str, str]) -> dict[str, Any]:
    """scores.json: {"models": [{model, title, scores: {benchmark: score}}], "paper": [...]}.

    titles: model -> what to call it, in the order of the rows.
    Raises UserError for a score that is there twice, is missing, or is of a model without a title.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for score in scores:
        place = (score["model"], score["benchmark"])
        if place in found:
            raise UserError(f"two scores of {place[0]} on {place[1]}")
        if place[0] not in titles:
            raise UserError(f"a score of a model that the run does not name: {place[0]}")
        found[place] = score
    benchmarks = sorted({benchmark for _, benchmark in found})
    if not benchmarks:
        raise UserError("no scores to put in a table")
    if missing := [f"{m} on {b}" for m in titles for b in benchmarks if (m, b) not in found]:
        raise UserError(f"no score of {', '.join(missing)}")
    models = [
        {"model": model, "title": title, "scores": {b: found[model, b] for b in benchmarks}}
        for model, title in titles.items()
    ]
    return {"models": models, "paper": PAPER}


def page(scores: Mapping[str, Any], duels: Mapping[str, Any]) -> str:
    """scores.md: the table, in words what its figures rest on, and what came of the rounds."""
    luck = rounds.luck_in_words(duels)
    return "\n".join(
        [
            "# Scores",
            "",
            "Greedy pass@1 in percent, interpreter off, judged by EvalPlus.",
            "",
            *_markdown(*cells(scores)),
            "",
            *(f"- {note}" for note in notes(scores)),
            "",
            "## Rounds",
            "",
            "Teacher and student on each round's test problems: greedy pass@1 in percent,",
            "judged by the hidden tests of the problems' dialogues. In brackets: Wilson's 95%",
            "interval; of the difference, Newcombe's for paired proportions (1998, method 10).",
            "McNemar's p is exact and two-sided.",
            "",
            *_markdown(*rounds.cells(duels)),
            "",
            *([luck, ""] if luck else []),
            "![pass@1 of teacher and student, and the yield, by round](rounds.svg)",
            "",
        ]
    )


def _markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines]


def cells(scores: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table as text: the run's models, then the paper's figures."""
    benchmarks = list(scores["models"][0]["scores"])
    header = ["model"]
    for name in benchmarks:
        title = _title(name)
        header += [f"{title} [95%]", f"{title}+ [95%]", "tasks"]
    rows = [
        [m["title"], *(c for b in benchmarks for c in _own(m["scores"][b]))]
        for m in scores["models"]
    ]
    rows += [
        [p["title"], *(c for b in benchmarks for c in _theirs(p.get(b), b))]
        for p in scores["paper"]
    ]
    return header, rows


def _title(benchmark: str) -> str:
    return BENCHMARKS.get(benchmark, (benchmark, 0))[0]


def _own(score: Mapping[str, Any]) -> list[str]:
    return [rounds.percent(score["base"]), rounds.percent(score["plus"]), str(score["tasks"])]


def _theirs(figures: Sequence[float] | None, benchmark: str) -> list[str]:
    if figures is None:
        return [NONE] * 3
    return [*(f"{figure:.1f}" for figure in figures), str(BENCHMARKS[benchmark][1])]


def notes(scores: Mapping[str, Any]) -> list[str]:
    """What a reader must know before comparing the rows."""
    said = ["In brackets: Wilson's 95% interval for so many tasks."]
    for name, score in scores["models"][0]["scores"].items():
        everything = BENCHMARKS.get(name, (name, score["tasks"]))[1]
        if score["tasks"] < everything:
            said.append(
                f"{_title(name)}: a subset of {score['tasks']} of {everything} tasks, chosen by a "
                "hash of their ids; the paper's figures are on all."
            )
        if score["exceptions"]:
            said.append(
                f"{_title(name)}: EvalPlus does not accept even the canonical solution of "
                f"{', '.join(score['exceptions'])}; counted as failed for every model."
            )
    return said


def summary(
    scores: Mapping[str, Any],
    funnel: Mapping[str, Any],
    duels: Mapping[str, Any],
    where: str,
    costs: str = "",
) -> str:
    """One screen of text: scores, funnel, the last duel, costs, and the report's place; at most
    80 x 24."""
    header, rows = cells(scores)
    used = [i for i in range(len(header)) if any(row[i] != NONE for row in rows[:3]) or i == 0]
    lines = columns([[row[i] for i in used] for row in [header, *rows]])
    lines += ["", *columns(_funnel_rows(funnel)), ""]
    last = [line[:WIDTH] for line in (_last_duel(duels), costs) if line]
    lines = [line[:WIDTH] for line in lines[: HEIGHT - 2 - len(last)]]
    # The report's place is what a user copies: it is never cut.
    return "\n".join([*lines, *last, f"report: {where}", ""])


def _last_duel(duels: Mapping[str, Any]) -> str:
    """The last round's duel in a line."""
    row = duels["rounds"][-1]
    said = f"round {row['round']} ({row['stage']}): gate {rounds.gate_of(row)}, {row['reason']}"
    if row["paired"] is None:
        return said
    teacher, student = (f"{100 * row[m]['pass@1']:.1f}" for m in ("teacher", "student"))
    return f"{said}: teacher {teacher}, student {student} on {row['problems']} problems"


def columns(rows: list[list[str]], names: int = 1) -> list[str]:
    """Rows as aligned text: the first `names` columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) for cell, w in zip(row[:names], widths, strict=False)]
        cells += [c.rjust(w) for c, w in zip(row[names:], widths[names:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _funnel_rows(funnel: Mapping[str, Any]) -> list[list[str]]:
    rows = [["stage", "kept", "lost"]]
    for stage in funnel["stages"]:
        rows.append([stage["stage"], str(stage["kept"]), str(sum(stage["lost"].values()))])
    return rows
