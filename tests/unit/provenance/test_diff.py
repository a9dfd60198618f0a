"""What differs between two ways to make a file is said by name."""

import pytest

from aiev.provenance.diff import differences, flat

BEFORE = {
    "code": "c1",
    "environment": "e1",
    "params": {"a": {"b": 1, "c": [1, 2]}, "d": {}},
    "inputs": {"x.jsonl": "1" * 64, "y.jsonl": "2" * 64},
    "parts": {"aiev/a.py: f": "1", "aiev/a.py: g": "2", "aiev/p.md": "3"},
}


def test_nothing_differs():
    assert differences(BEFORE, BEFORE) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"params": {"a": {"b": 2, "c": [1, 2]}, "d": {}}}, "parameter a.b: 1 -> 2"),
        ({"params": {"a": {"b": 1, "c": [1]}, "d": {}}}, "parameter a.c: [1, 2] -> [1]"),
        ({"params": {"a": {"b": 1, "c": [1, 2]}}}, "parameter d: {} -> absent"),
        ({"inputs": {"x.jsonl": "1" * 64, "y.jsonl": "3" * 64}}, "input y.jsonl: 222"),
        ({"inputs": {"x.jsonl": "1" * 64}}, "input y.jsonl: no longer used"),
        ({"inputs": {**BEFORE["inputs"], "z": "4" * 64}}, "input z: new"),
        ({"environment": "e2"}, "environment: another envs/lock.txt, envs/converter.txt or Python"),
        (
            {"code": "c2", "parts": {**BEFORE["parts"], "aiev/a.py: g": "9"}},
            "code aiev/a.py: g: ch",
        ),
        (
            {"code": "c2", "parts": {**BEFORE["parts"], "aiev/n.py: h": "9"}},
            "code aiev/n.py: h: new",
        ),
        ({"code": "c2", "parts": None}, "code: c1 -> c2"),
    ],
)
def test_what_differs_is_one_line(change, line):
    (found,) = differences(BEFORE, {**BEFORE, **change})
    assert found.startswith(line)


def test_what_is_not_known_does_not_differ():
    known = {k: v for k, v in BEFORE.items() if k not in ("environment", "parts")}
    assert differences(known, BEFORE) == []


def test_a_long_value_is_cut():
    (line,) = differences(BEFORE, {**BEFORE, "params": {**BEFORE["params"], "d": "x" * 500}})
    assert len(line) < 100


def test_flat():
    assert flat({"a": {"b": {"c": 1}}, "d": {}}) == {"a.b.c": 1, "d": {}}
