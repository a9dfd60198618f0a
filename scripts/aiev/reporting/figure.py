"""Results of the rounds: a table, and a figure of both models' pass@1 and of the yield."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from aiev.core.files import write_bytes
from aiev.evaluation.stats import share

COLOURS = {"teacher": "#4c72b0", "student": "#dd8452", "teaching": "#4c72b0"}
COLOURS["self-learning"] = COLOURS["student"]
# Half the distance between the two models' markers of a round, in rounds.
STEP = 0.08


def table(
    reports: Sequence[Mapping[str, Any]],
    duels: Sequence[Mapping[str, Any]],
    gates: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """rounds.json, from each round's report.json, duel.json and gate.json, in order.

    {"rounds": [{round, stage, dialogues, train, test, yield, problems, excluded, teacher, student,
    paired, open, reason, self_learning, luck}], "switch": the first round that the student wrote,
    or null, "luck": {if_equal, if_worse, worse_by}}.
    yield, teacher, student: shares with Wilson's interval, null where there is nothing to count.
    luck: how likely the gate opens by chance, in a round (aiev.rounds.gate.luck) and in at least
    one of all these rounds; null where no round had a problem.
    """
    rows = [_row(*three) for three in zip(reports, duels, gates, strict=True)]
    by_student = [row["round"] for row in rows if row["stage"] == "self-learning"]
    return {"rounds": rows, "switch": min(by_student, default=None), "luck": _luck(rows)}


def _luck(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """The chances of all rounds together, as if their duels were independent."""
    found = [row["luck"] for row in rows if row["luck"]]
    if not found:
        return None
    stays_shut = {key: prod(1 - one[key] for one in found) for key in ("if_equal", "if_worse")}
    chances = {key: round(1 - value, 6) for key, value in stays_shut.items()}
    return {**chances, "worse_by": found[0]["worse_by"]}


def _row(report, duel, gate) -> dict[str, Any]:
    counts = {key: report[key] for key in ("stage", "dialogues", "train", "test")}
    return {
        "round": duel["round"],
        **counts,
        "yield": share(report["verified"], report["dialogues"]),
        "problems": duel["counts"]["compared"],
        "excluded": duel["counts"]["excluded"],
        **{model: duel["models"][model]["greedy"] for model in ("teacher", "student")},
        "paired": duel["paired"],
        "open": gate["open"],
        "reason": gate["reason"],
        "self_learning": gate["self_learning"],
        "luck": gate["luck"],
    }


def luck_in_words(rounds: Mapping[str, Any]) -> str | None:
    """How far an open gate can be trusted; None where no round had a problem."""
    found = rounds["luck"]
    if found is None:
        return None
    points = f"{100 * found['worse_by']:.0f} points"
    return (
        "By chance alone, the gate's rule opens in at least one of these rounds with probability "
        f"{found['if_worse']:.0%} if the student is {points} worse than the teacher, and "
        f"{found['if_equal']:.0%} if the two are equal."
    )


def cells(rounds: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table as text."""
    header = ["round", "written in", "yield", "problems", "teacher [95%]", "student [95%]"]
    header += ["difference [95%]", "McNemar's p", "gate"]
    return header, [_cells(row) for row in rounds["rounds"]]


def _cells(row: Mapping[str, Any]) -> list[str]:
    verified, paired = row["yield"], row["paired"]
    compared = ["-", "-"]
    if paired:
        difference = points(paired["difference"], paired["interval"])
        compared = [difference, f"{paired['mcnemar_p']:.3f}"]
    return [
        str(row["round"]),
        row["stage"],
        f"{verified['correct']} of {verified['total']}",
        str(row["problems"]),
        percent(row["teacher"]),
        percent(row["student"]),
        *compared,
        f"{gate_of(row)}: {row['reason']}",
    ]


def gate_of(row: Mapping[str, Any]) -> str:
    """State of the gate after a round: open, would open, shut."""
    if not row["open"]:
        return "shut"
    return "open" if row["self_learning"] else "would open"


def points(difference: float, interval: Sequence[float]) -> str:
    """A difference of pass@1 as text, in percentage points with its interval."""
    low, high = interval
    return f"{100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def percent(share: Mapping[str, Any] | None) -> str:
    """A share as text, in percent with its interval; "-" for None."""
    if share is None:
        return "-"
    low, high = share["interval"]
    return f"{100 * share['pass@1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def draw(rounds: Mapping[str, Any], path: Path) -> None:
    """Write the figure as SVG, reproducible byte by byte: text as paths, no date."""
    import io

    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rounds", "font.family": "DejaVu Sans"})
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(7, 5), height_ratios=[3, 2], layout="constrained"
    )
    rows = rounds["rounds"]
    _draw_duels(above, rows)
    _draw_yields(below, rows)
    if rounds["switch"] is not None:
        for axes in (above, below):
            axes.axvline(rounds["switch"] - 0.5, color="0.3", linestyle="--", linewidth=1)
        place = (rounds["switch"] - 0.48, 103)
        above.annotate("the student writes", place, fontsize=8, va="bottom", annotation_clip=False)
    below.set_xticks([row["round"] for row in rows])
    below.set_xlim(-0.6, len(rows) - 0.4)
    below.set_xlabel("round")
    made = io.BytesIO()
    figure.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    write_bytes(path, made.getvalue())


def _draw_duels(axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for model, offset in (("teacher", -STEP), ("student", STEP)):
        found = [(row["round"] + offset, row[model]) for row in rows if row[model]]
        places, shares = [p for p, _ in found], [s for _, s in found]
        values = [100 * s["pass@1"] for s in shares]
        # An end of the interval may lie a rounding error inside the value.
        ends = [
            [max(0.0, v - 100 * s["interval"][0]) for v, s in zip(values, shares, strict=True)],
            [max(0.0, 100 * s["interval"][1] - v) for v, s in zip(values, shares, strict=True)],
        ]
        style = {"marker": "o", "capsize": 4, "color": COLOURS[model], "label": model}
        axes.errorbar(places, values, ends, **style)
    for row in rows:
        axes.annotate(f"n = {row['problems']}", (row["round"], -14), ha="center", fontsize=8)
    axes.set_ylim(-20, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("pass@1 in the duel (%)\nbars: 95% interval")
    # Above the axes, where no point can be.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, ncols=2, frameon=False)


def _draw_yields(axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        value = 100 * row["yield"]["pass@1"]
        axes.bar(row["round"], value, width=0.5, color=COLOURS[row["stage"]])
        said = f"{row['yield']['correct']} of {row['yield']['total']}, {row['stage']}"
        axes.annotate(said, (row["round"], value + 3), ha="center", fontsize=8)
    axes.set_ylim(0, 118)
    axes.set_yticks(range(0, 101, 25))
    axes.set_ylabel("verified dialogues (%)")
