"""The models are checked by a rule that `aiev run` starts before all else."""

import json

import pytest
import torch
from project import DIALOGUES
from scripted import Raw
from tiny import answers

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

CHECKED = "logs/tiny/models.json"
WRONG_KEY = Raw(json.dumps({"error": {"message": "Incorrect API key"}}).encode(), status=401)


def test_a_wrong_key_ends_the_run_at_its_first_question(project, scripted, tmp_path):
    project.make_whole(tmp_path / "mirror")
    project.config["execution"]["preflight"] = True
    scripted.script = lambda body: WRONG_KEY
    code, said = project.run(CHECKED, seconds=600)
    assert code == 3 and "Incorrect API key" in said and "OPENAI_API_KEY" in said, said
    (question,) = scripted.bodies
    assert question["messages"][-1]["content"] == "Reply with the word OK."
    assert not (project.root / DIALOGUES).exists()

    # Then each model answers once, before the dialogues.
    scripted.forget()
    scripted.script = answers_or_ok
    code, said = project.run(CHECKED, seconds=600)
    assert code == 0, said
    short = [body for body in scripted.bodies if is_short(body)]
    assert [body["model"] for body in short] == ["scripted", "base-tiny"]
    assert scripted.bodies == short
    assert json.loads(project.file(CHECKED))["teacher"] == "answered"
    assert not (project.root / DIALOGUES).exists()


def test_a_task_that_a_benchmark_lacks_is_named_before_the_dialogues(project, scripted, tmp_path):
    project.make_whole(tmp_path / "mirror")
    project.config["execution"]["preflight"] = True
    benchmark = {"resource": "tiny-benchmark", "subset_ids": ["HumanEval/1", "HumanEval/9"]}
    project.config["evaluation"] = {"benchmarks": {"humaneval": benchmark}}
    (project.root / "tiny.yaml").write_text(project.dump(project.config))
    project.environment["OPENAI_API_KEY"] = "any"
    scripted.script = answers_or_ok
    code, said = project.aiev("run", "--config", "tiny.yaml", "--cores", "2")
    assert code == 2 and "tasks that the benchmark does not contain: HumanEval/9" in said, said
    assert "evaluation.benchmarks.humaneval.subset_ids" in said
    assert all(map(is_short, scripted.bodies)) and not (project.root / DIALOGUES).exists()


def test_what_a_run_on_gpus_needs_is_missed_before_anything_is_asked(project, scripted, tmp_path):
    """PyTorch's build, where it is the CPUs', and vLLM, which is not installed here."""
    project.make_whole(tmp_path / "mirror")
    project.config["execution"]["preflight"] = True
    project.config["models"]["student"]["kind"] = "vllm"
    project.config["training"]["accelerator"] = "cuda"
    if torch.version.cuda is None and torch.version.hip is None:
        code, said = project.run(CHECKED, seconds=600)
        assert code == 2 and "is built for CPUs, and training.accelerator is cuda" in said, said
    project.config["training"]["accelerator"] = "cpu"
    code, said = project.run(CHECKED, seconds=600, PATH="/usr/bin:/bin")
    assert code == 3 and "the command vllm is not on the PATH" in said, said
    assert scripted.bodies == []


def is_short(body) -> bool:
    return body["messages"][-1]["content"] == "Reply with the word OK."


def answers_or_ok(body):
    return "OK" if is_short(body) else answers(body)
