"""The rounds' table and picture."""

import xml.etree.ElementTree as ElementTree

from aiev.evaluation.stats import share
from aiev.reporting.figure import cells, draw, percent, table


def inputs(*stages):
    reports, duels, gates = [], [], []
    for number, stage in enumerate(stages):
        counts = {"dialogues": 8, "verified": 2 + number, "train": 1, "test": 1 + number}
        reports.append({"stage": stage, "rejected": {}, **counts})
        nothing = number == 2
        greedy = None if nothing else share(1, 1 + number)
        paired = {"difference": 0.5, "interval": [-0.5, 1.0], "mcnemar_p": 1.0}
        duels.append(
            {
                "round": number,
                "counts": {"compared": 0 if nothing else 1 + number, "excluded": 0},
                "models": {m: {"greedy": greedy} for m in ("teacher", "student")},
                "paired": None if nothing else paired,
            }
        )
        gates.append({"open": number > 0, "reason": "student-ahead", "self_learning": True})
    return {"reports": reports, "duels": duels, "gates": gates}


def test_the_switch_is_the_first_round_of_the_student():
    assert table(**inputs("teaching", "teaching"))["switch"] is None
    found = table(**inputs("teaching", "self-learning", "self-learning"))
    assert found["switch"] == 1
    assert [row["yield"]["correct"] for row in found["rounds"]] == [2, 3, 4]


def test_cells_say_what_there_is_and_what_there_is_not():
    header, rows = cells(table(**inputs("teaching", "self-learning", "self-learning")))
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][:4] == ["0", "teaching", "2 of 8", "1"]
    assert rows[0][6:] == ["+50.0 [-50.0, +100.0]", "1.000", "shut: student-ahead"]
    assert rows[2][4:8] == ["-"] * 4
    assert percent(share(1, 2)) == "50.0 [9.5, 90.5]"


def test_where_the_student_never_writes_the_gate_only_would_open():
    found = inputs("teaching", "teaching")
    found["gates"] = [{**gate, "self_learning": False} for gate in found["gates"]]
    _, rows = cells(table(**found))
    assert [row[-1] for row in rows] == ["shut: student-ahead", "would open: student-ahead"]


def test_the_picture_is_an_svg_and_the_same_each_time(tmp_path):
    found = table(**inputs("teaching", "self-learning", "self-learning"))
    for name in ("a.svg", "b.svg"):
        draw(found, tmp_path / name)
    data = (tmp_path / "a.svg").read_bytes()
    assert data == (tmp_path / "b.svg").read_bytes()
    assert ElementTree.fromstring(data).tag.endswith("svg")
    assert str(tmp_path).encode() not in data and b"<dc:date>" not in data
    other = table(**inputs("teaching", "teaching"))
    draw(other, tmp_path / "c.svg")
    assert (tmp_path / "c.svg").read_bytes() != data
