"""A finished run on one screen of a terminal."""

from collections.abc import Mapping
from typing import Any

from aiev.reporting import figure as rounds
from aiev.reporting.scores_page import NONE, cells

WIDTH, HEIGHT = 80, 24
"""Columns and lines of a terminal that shows the summary at once."""


def summary(
    scores: Mapping[str, Any],
    funnel: Mapping[str, Any],
    duels: Mapping[str, Any],
    where: str,
    costs: str = "",
) -> str:
    """One screen of text: scores, funnel, the last duel, costs, and the path of the report; at most
    WIDTH x HEIGHT, but for the path."""
    header, rows = cells(scores)
    measured = rows[: len(scores["models"])]
    used = [i for i in range(len(header)) if i == 0 or any(row[i] != NONE for row in measured)]
    lines = columns([[row[i] for i in used] for row in [header, *rows]])
    lines += ["", *columns(_funnel_rows(funnel)), ""]
    last = [line[:WIDTH] for line in (_last_duel(duels), costs) if line]
    lines = [line[:WIDTH] for line in lines[: HEIGHT - 2 - len(last)]]
    # Users copy the path: it is never cut.
    return "\n".join([*lines, *last, f"report: {where}", ""])


def _last_duel(duels: Mapping[str, Any]) -> str:
    """The last round's duel in a line."""
    row = duels["rounds"][-1]
    text = f"round {row['round']} ({row['stage']}): gate {rounds.gate_of(row)}, {row['reason']}"
    if row["paired"] is None:
        return text
    teacher, student = (f"{100 * row[m]['pass@1']:.1f}" for m in ("teacher", "student"))
    return f"{text}: teacher {teacher}, student {student} on {row['problems']} problems"


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
