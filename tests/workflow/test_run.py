"""The true DAG from seeds to training dialogues: that it runs, and what makes it run again."""

import json

import pytest
from project import DIALOGUES, KEY, NAMES, TRAIN

pytestmark = pytest.mark.workflow


def edit(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


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


@pytest.mark.slow
def test_what_makes_jobs_run_again(project, scripted):
    assert project.run()[0] == 0
    scripted.forget()
    before = project.file(DIALOGUES)

    # A comment has no meaning, wherever it stands.
    edit(
        project.root / "scripts/aiev/recipes/aiev_instruct/dialogue.py",
        "import asyncio",
        "# why\nimport asyncio",
    )
    edit(project.root / "scripts/write_dialogues.py", "def main", "# why\ndef main")
    code, said = project.run()
    assert code == 0 and "Nothing to be done" in said

    # A lost file comes back from the store, and nothing is asked.
    (project.root / DIALOGUES).unlink()
    code, said = project.run(DIALOGUES)
    assert code == 0 and scripted.bodies == [] and project.file(DIALOGUES) == before
    assert "restored" in project.file("logs/tiny/rounds/0/dialogues/000.log").decode()

    # A prompt has one: its rule runs, and asks what is new.
    edit(
        project.root / "scripts/aiev/recipes/aiev_instruct/prompts/describe.md",
        "In one or two",
        "In two or three",
    )
    code, said = project.run()
    assert code == 0 and "rule write_dialogues" in said and "rule mine_seeds" not in said
    assert scripted.bodies and scripted.bodies[0]["messages"][0]["role"] == "system"


def test_a_key_that_is_not_set(project, scripted):
    code, said = project.run(OPENAI_API_KEY="")
    assert code != 0 and "OPENAI_API_KEY" in said and "Traceback" not in said
    assert scripted.bodies == [] and not (project.root / TRAIN).exists()
