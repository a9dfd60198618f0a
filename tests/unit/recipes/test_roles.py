"""Who writes a round: which of two models counts, and that it is the one that the gate chose."""

from types import SimpleNamespace

import pytest

import write_dialogues
from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_path
from aiev.training.finished import check_digest

MODELS = {"teacher": {"name": "t"}, "student": {"name": "s"}}


def given(tmp_path, said=None):
    if said:
        write_json(tmp_path / "next.json", said)
    paths = {name: [tmp_path / name] for name in ("seeds", "weights", "student")}
    return {**paths, "next": [tmp_path / "next.json"] if said else []}


@pytest.mark.parametrize(
    ("said", "weights", "model"),
    [
        (None, "weights", "t"),
        ({"author": "teacher", "stage": "teaching"}, "weights", "t"),
        ({"author": "student", "stage": "self-learning"}, "student", "s"),
    ],
)
def test_the_model_that_does_not_write_counts_for_nothing(said, weights, model, tmp_path):
    inputs, params = write_dialogues.author_only(
        given(tmp_path, said), {"seed": 1, "models": MODELS}
    )
    assert inputs["weights"] == [tmp_path / weights] and "student" not in inputs
    assert params == {"seed": 1, "model": {"name": model}}


def job(inputs):
    return SimpleNamespace(inputs=inputs, input=lambda name: inputs[name][0])


def test_another_checkpoint_than_the_gate_s_writes_nothing(tmp_path):
    said = {"author": "student", "stage": "self-learning", "digest": "a" * 64}
    with pytest.raises(UserError, match="gate chose the student with sha256 a"):
        write_dialogues.stage_of(job(given(tmp_path, said)), SimpleNamespace(digest="b" * 64))
    found = write_dialogues.stage_of(job(given(tmp_path, said)), SimpleNamespace(digest="a" * 64))
    assert found == "self-learning"
    assert write_dialogues.stage_of(job(given(tmp_path)), SimpleNamespace(digest="c")) == "teaching"
    assert read_json(tmp_path / "next.json") == said


def test_a_checkpoint_with_other_bytes_does_not_fight(tmp_path):
    student, digest = tmp_path / "student", tmp_path / "student.sha256"
    student.mkdir()
    (student / "model.safetensors").write_bytes(b"weights")
    digest.write_text(of_path(student) + "\n")
    check_digest(student, digest)
    (student / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(UserError, match="not the checkpoint that was trained"):
        check_digest(student, digest)
