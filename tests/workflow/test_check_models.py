"""The models are checked in the true DAG before a dialogue is written."""

import json

import pytest
from project import DIALOGUES
from scripted import Raw
from tiny import answers

pytestmark = pytest.mark.workflow

CHECKED = "logs/tiny/models.json"
WRONG_KEY = Raw(json.dumps({"error": {"message": "Incorrect API key"}}).encode(), status=401)


def test_a_wrong_key_ends_the_run_at_its_first_question(project, scripted, tmp_path):
    project.make_whole(tmp_path / "mirror")
    project.config["execution"]["preflight"] = True
    scripted.script = lambda body: WRONG_KEY
    code, said = project.run(DIALOGUES, seconds=600)
    assert code == 3 and "Incorrect API key" in said and "OPENAI_API_KEY" in said, said
    (question,) = scripted.bodies
    assert question["messages"][-1]["content"] == "Reply with the word OK."
    assert not (project.root / DIALOGUES).exists()

    # Then each model answers once, and another check makes no dialogue stale.
    scripted.forget()
    scripted.script = answers_or_ok
    code, said = project.run(DIALOGUES, seconds=600)
    assert code == 0, said
    short = [body for body in scripted.bodies if is_short(body)]
    assert [body["model"] for body in short] == ["scripted", "base-tiny"]
    assert scripted.bodies[:2] == short
    assert json.loads(project.file(CHECKED))["teacher"] == "answered"
    scripted.forget()
    project.config["duel"] = {"max_tokens": 50}
    code, said = project.run(DIALOGUES, seconds=600)
    assert code == 0 and "rule write_dialogues" not in said, said


def is_short(body) -> bool:
    return body["messages"][-1]["content"] == "Reply with the word OK."


def answers_or_ok(body):
    return "OK" if is_short(body) else answers(body)
