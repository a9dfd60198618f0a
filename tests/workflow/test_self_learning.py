"""Rounds through the true DAG: a gate that opens and one that stays shut, rounds added and taken
away, and what may go wrong between them. The teacher fails in the duel where a test wants it."""

import json
import shutil
import time

import pytest
from matrix import prepared
from project import ROOT, Project, end_group
from scripted import scripted_endpoint
from tiny import answers

from aiev.core.files import read_json, read_jsonl
from aiev.core.hashing import of_path
from aiev.dataset.settings import TagSettings
from aiev.dataset.tags import tag_dialogues
from aiev.rounds.duel import NO_CODE, duel_prompt

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RUN = "results/tiny"
ROUNDS = f"{RUN}/rounds.json"
DUEL = duel_prompt({"prompt": "@"}).partition("@")[0]
STUDENT = "student-tiny"


def is_duel(body) -> bool:
    return body["messages"][-1]["content"].startswith(DUEL)


def weak_teacher(body):
    """Answers as ever, but that the teacher solves no problem of a duel."""
    if is_duel(body) and body["model"] == "scripted":
        return "I cannot."
    return answers(body)


def silent_student(body):
    """The student wins the duel, and then writes no problem any more."""
    if body["model"] == STUDENT and not is_duel(body):
        return "I would rather talk."
    return weak_teacher(body)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A first round of three dialogues, one of them a test problem, with its student made by
    quick_training.py: what it has learnt is the script's."""
    root = tmp_path_factory.mktemp("rounds")
    with scripted_endpoint(answers) as endpoint:
        project = prepared(root / "base", endpoint.url, root / "mirror", trained=False)
        project.config["rounds"] = {"dialogues": 8}
        code, said = project.run(f"{RUN}/rounds/0/student.sha256")
        assert code == 0, said
    return project


@pytest.fixture
def begin(base, tmp_path):
    """`begin(script)`: a copy of the project and an endpoint that answers by the script."""
    endpoints = []

    def copy(script, delay=0.0) -> tuple[Project, object]:
        endpoint = scripted_endpoint(script, delay)
        asked = endpoint.__enter__()
        endpoints.append(endpoint)
        project = base.copy_to(tmp_path / "project")
        for server in project.config["execution"]["models"].values():
            server["base_url"] = asked.url
        return project, asked

    yield copy
    for endpoint in endpoints:
        endpoint.__exit__(None, None, None)


def gate(project, number):
    return read_json(project.root / f"{RUN}/rounds/{number}/gate.json")


def dialogues(project, number, shard):
    return read_jsonl(project.root / f"{RUN}/rounds/{number}/dialogues/{shard}.jsonl")


def test_an_open_gate_lets_the_student_write_and_rounds_come_and_go(begin):
    project, asked = begin(weak_teacher)
    assert project.run(ROUNDS)[0] == 0
    duel = read_json(project.root / f"{RUN}/rounds/0/duel.json")
    assert duel["models"]["teacher"]["outcomes"] == {NO_CODE: 1}
    assert gate(project, 0)["reason"] == "student-ahead"
    student = of_path(project.root / f"{RUN}/rounds/0/student")
    assert gate(project, 0)["next"]["digest"] == student

    # One more round: what was there stays, and only the student is asked.
    project.config["rounds"]["count"] = 2
    asked.forget()
    code, said = project.run(ROUNDS)
    assert code == 0, said
    written = dialogues(project, 1, "001")
    assert {d["stage"] for d in written} == {"self-learning"}
    assert {d["model"] for d in written} == {f"{STUDENT}@{student}"}
    assert {body["model"] for body in asked.bodies} == {STUDENT}
    assert "round=0" not in said, "no job of the first round was started"
    found = read_json(project.root / ROUNDS)
    assert found["switch"] == 1 and gate(project, 1)["reason"] == "stays-open"

    # One round less: nothing of the first is made again.
    project.config["rounds"]["count"] = 1
    asked.forget()
    code, said = project.run(ROUNDS)
    assert code == 0 and asked.bodies == [] and "round=" not in said, said


def tagged(number):
    return f"rounds/{number}/data/tagged.jsonl"


def test_the_teaching_only_arm(begin):
    project, asked = begin(weak_teacher)
    project.config["rounds"] |= {"count": 2, "self_learning": False}
    code, said = project.run(ROUNDS)
    assert code == 0, said
    assert gate(project, 0)["open"] and not gate(project, 0)["self_learning"]
    assert {d["stage"] for d in dialogues(project, 1, "001")} == {"teaching"}
    writers = {body["model"] for body in asked.bodies if not is_duel(body)}
    assert writers == {"scripted"}

    # What the first round has tagged comes from there, and is what it would be if tagged again.
    first, both = (read_jsonl(project.root / f"{RUN}/{tagged(number)}") for number in (0, 1))
    assert [row for row in both if row["id"] in {known["id"] for known in first}] == first
    log = project.file(f"logs/tiny/{tagged(1)}".replace(".jsonl", ".log")).decode()
    assert f"known from the round before: {len(first)}" in log and len(both) > len(first) > 0
    written = read_jsonl(project.root / f"{RUN}/rounds/1/data/decontaminated.jsonl")
    assert tag_dialogues(written, **TagSettings().model_dump())[0] == both


def test_a_shut_gate_and_a_new_student_make_no_dialogue_stale(begin):
    project, asked = begin(answers)
    project.config["rounds"]["count"] = 2
    assert project.run(ROUNDS)[0] == 0
    assert gate(project, 0)["reason"] == "tie"
    before = project.file(f"{RUN}/rounds/1/dialogues/001.jsonl")
    asked.forget()
    project.config["training"]["learning_rate"] = 2e-3
    code, said = project.run(ROUNDS)
    assert code == 0, said
    assert {body["model"] for body in asked.bodies} == {STUDENT}, "in the duels alone"
    assert project.file(f"{RUN}/rounds/1/dialogues/001.jsonl") == before
    log = project.file("logs/tiny/rounds/1/dialogues/001.log").decode()
    assert "restored from action" in log


def test_a_student_that_has_stopped_to_teach_stops_the_run(begin):
    project, _ = begin(silent_student)
    project.config["rounds"] |= {"count": 2, "minimum_yield": 0.2}
    code, said = project.run(ROUNDS)
    assert code != 0
    assert "dialogues by student-tiny@" in said and "rounds.minimum_yield" in said
    assert "'no-contract': 2" in said
    assert gate(project, 0)["open"], "what was made before stays"
    assert len(dialogues(project, 1, "001")) == 2


def test_a_training_that_fails_says_so_and_the_dialogues_stay(begin):
    project, asked = begin(answers)
    supervisor = "scripts/aiev/training/supervisor.py"
    shutil.copyfile(ROOT / supervisor, project.root / supervisor)  # trains for real
    place = project.root / "config/deepspeed/zero2.json"
    settings = json.loads(place.read_text())
    settings["zero_optimization"]["reduce_bucket_size"] = -1  # which only DeepSpeed knows
    place.write_text(json.dumps(settings))
    code, said = project.run(ROUNDS)
    assert code != 0 and "train_model: training failed" in said and asked.bodies == []
    assert "logs/tiny/rounds/0/student.log" in said
    assert len(dialogues(project, 0, "000")) == 3
    assert not (project.root / f"{RUN}/rounds/0/duel.json").exists()


def test_without_a_test_problem_the_gate_stays_as_it_was(begin):
    project, asked = begin(weak_teacher)
    project.config["rounds"]["split"] = {"test_share": 0}
    code, said = project.run(ROUNDS)
    assert code == 0, said
    assert gate(project, 0)["reason"] == "too-few-problems" and not gate(project, 0)["open"]
    assert asked.bodies == []
    assert read_json(project.root / f"{RUN}/rounds/0/duel.json")["counts"]["compared"] == 0


def test_a_duel_killed_half_way_goes_on_and_asks_nothing_twice(begin):
    project, asked = begin(weak_teacher, delay=0.5)
    project.config["duel"] = {"samples": 3}
    process = project.start(ROUNDS)
    deadline = time.monotonic() + 60
    while asked.answered.total() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    end_group(process)
    process.stdout.close()
    assert not (project.root / f"{RUN}/rounds/0/duel.json").exists()
    time.sleep(2)  # the job that lost its Snakemake ends
    code, said = project.run(ROUNDS)
    assert code == 0, said
    assert len(asked.answered) == 8, "four answers of each model"
    # A question cut off in mid-answer was not on record, and may have been put again.
    assert asked.answered.total() <= 8 + 2
    sampled = read_json(project.root / f"{RUN}/rounds/0/duel.json")["models"]["student"]["sampled"]
    assert sampled["samples"] == 3 and sampled["pass@1"] == 1


def test_a_student_that_was_replaced_is_made_again_before_it_is_asked(begin):
    project, _ = begin(weak_teacher)
    student = project.root / f"{RUN}/rounds/0/student"
    before = of_path(student)
    weights = student / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    code, said = project.run(ROUNDS)
    assert code == 0 and "was changed since it was made" in said, said
    assert of_path(student) == before
    duel = read_json(project.root / f"{RUN}/rounds/0/duel.json")
    assert duel["models"]["student"]["digest"] == before


def test_recorded_dialogues_are_the_first_round(begin):
    project, asked = begin(answers)
    shutil.copyfile(
        project.root / f"{RUN}/rounds/0/dialogues/000.jsonl", project.root / "recorded.jsonl"
    )
    project.config["rounds"]["recorded"] = "recorded.jsonl"
    project.config["name"] = "other"
    code, said = project.run("results/other/rounds.json")
    assert code == 0 and "rule take_dialogues" in said, said
    assert {is_duel(body) for body in asked.bodies} == {True}
