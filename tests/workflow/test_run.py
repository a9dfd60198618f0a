"""The true DAG from seeds to training dialogues. test_staleness.py has what makes it run again."""

import json

import pytest
from project import DIALOGUES, KEY, NAMES, TRAIN

pytestmark = pytest.mark.workflow


def test_a_run_makes_its_files_and_a_second_one_does_nothing(project, scripted):
    code, said = project.run()
    assert code == 0, said
    dialogues = [json.loads(line) for line in project.file(DIALOGUES).splitlines()]
    reasons = sorted(d["reason"] for d in dialogues)
    assert reasons == ["", "", "", "", "", "no-code", "unsolved-failed"]
    assert len(dialogues) == len(NAMES)
    report = json.loads(project.file("results/tiny/rounds/0/report.json"))
    assert report["dialogues"] == 7 and report["verified"] == 4
    assert report["rejected"] == {"no-code": 1, "unsolved-failed": 1, "vacuous": 1}
    assert report["train"] + report["test"] == 4
    assert set(scripted.answered.values()) == {1}
    assert set(project.entries()) == set(scripted.answered)

    scripted.forget()
    code, said = project.run()
    assert code == 0 and "Nothing to be done" in said and scripted.bodies == []

    # The API key was sent, and lies nowhere below the project.
    assert set(scripted.credentials) == {f"Bearer {KEY}"}
    for path in project.root.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    # No artifact knows where the project lies.
    for name in ("results", "ledger"):
        for path in (project.root / name).rglob("*.json*"):
            assert str(project.root).encode() not in path.read_bytes(), path


def test_a_key_that_is_not_set(project, scripted):
    code, said = project.run(OPENAI_API_KEY="")
    assert code != 0 and "OPENAI_API_KEY" in said and "Traceback" not in said
    assert scripted.bodies == [] and not (project.root / TRAIN).exists()
