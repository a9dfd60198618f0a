"""The rounds' table and picture."""

import xml.etree.ElementTree as ElementTree

from aiev.evaluation.stats import share
from aiev.reporting.figure import cells, draw, luck_in_words, percent, table
from aiev.rounds.duel import paired
from aiev.rounds.gate import decide

RULE = {"margin": 0, "confidence": None, "minimum_problems": 1, "revert": False}


def rounds(*duels, self_learning=True):
    """Reports, duels and gates of rounds, each duel as (only the student, only the teacher)
    solved problems: what a run would leave behind."""
    reports, found, gates = [], [], []
    stage = "teaching"
    for number, (student, teacher) in enumerate(duels):
        pairs = [(False, True)] * student + [(True, False)] * teacher
        rows = [
            {m: {"greedy": "passed" if s else "failed"} for m, s in zip(MODELS, pair, strict=True)}
            for pair in pairs
        ]
        total = len(rows)
        counts = {"dialogues": 8, "verified": 2 + number, "train": 2 + number - total}
        reports.append({"stage": stage, "rejected": {}, **counts, "test": total})
        solved = {"teacher": teacher, "student": student}
        found.append(
            {
                "round": number,
                "counts": {"compared": total, "excluded": 0},
                "models": {
                    m: {"greedy": share(solved[m], total) if total else None, "digest": m}
                    for m in MODELS
                },
                "paired": paired(rows),
            }
        )
        gates.append(decide(found[-1], gates[-1] if gates else None, RULE, self_learning))
        stage = gates[-1]["next"]["stage"]
    return {"reports": reports, "duels": found, "gates": gates}


MODELS = ("teacher", "student")
THREE = ((1, 0), (1, 1), (0, 0))


def test_the_switch_is_the_first_round_that_the_student_wrote():
    assert table(**rounds((0, 1), (0, 1)))["switch"] is None
    found = table(**rounds(*THREE))
    assert found["switch"] == 1
    assert [row["yield"]["correct"] for row in found["rounds"]] == [2, 3, 4]


def test_cells_of_rounds_with_and_without_a_duel():
    header, rows = cells(table(**rounds(*THREE)))
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][:4] == ["0", "teaching", "2 of 8", "1"]
    assert rows[0][7:] == ["1.000", "open: student-ahead"]
    assert rows[0][6].startswith("+100.0 [") and rows[0][6] != "+100.0 [+100.0, +100.0]"
    assert rows[1][6].startswith("+0.0 [") and rows[1][8] == "open: stays-open"
    assert rows[2][4:8] == ["-"] * 4
    assert percent(share(1, 2)) == "50.0 [9.5, 90.5]"


def test_the_chance_of_luck_grows_with_the_rounds():
    one, two = (table(**rounds(*[(2, 3)] * n)) for n in (1, 2))
    (row,) = one["rounds"]
    assert one["luck"]["if_worse"] == row["luck"]["if_worse"]
    both = 1 - (1 - row["luck"]["if_worse"]) ** 2
    assert abs(two["luck"]["if_worse"] - both) < 2e-6
    assert "5 points worse" in luck_in_words(one)
    assert luck_in_words(table(**rounds((0, 0)))) is None


def test_where_the_student_never_writes_the_gate_only_would_open():
    _, rows = cells(table(**rounds((0, 1), (1, 0), self_learning=False)))
    assert [row[-1] for row in rows] == ["shut: student-not-ahead", "would open: student-ahead"]
    assert [row[1] for row in rows] == ["teaching"] * 2


def test_the_picture_is_an_svg_and_the_same_each_time(tmp_path):
    found = table(**rounds(*THREE))
    for name in ("a.svg", "b.svg"):
        draw(found, tmp_path / name)
    data = (tmp_path / "a.svg").read_bytes()
    assert data == (tmp_path / "b.svg").read_bytes()
    assert ElementTree.fromstring(data).tag.endswith("svg")
    assert str(tmp_path).encode() not in data and b"<dc:date>" not in data
    other = table(**rounds((0, 1), (0, 1)))
    draw(other, tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes() != data
