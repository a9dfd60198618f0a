"""What a rule hands to its job: seen in a dry run, where no engine and no model is needed."""

import re
from typing import NamedTuple

import pytest

from aiev.config.run import RunConfig
from aiev.core.files import write_json
from aiev.core.settings import checked

pytestmark = pytest.mark.workflow


class Handed(NamedTuple):
    """What a dry run shows of all jobs: their parameters, and each rule's threads and resources."""

    params: list[str]
    threads: dict[str, str]
    resources: dict[str, dict[str, str]]

    @property
    def images(self) -> set[str]:
        """Digests of the sandbox's image among the parameters."""
        return set(re.findall(r'"sandbox_image": "(\w+)"', "".join(self.params)))


def handed(project) -> Handed:
    code, said = project.run("all", "--dry-run", "--printshellcmds", cores=16)
    assert code == 0, said
    params = re.findall(r"--params ('\{.*?\}')", said)
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", said, re.MULTILINE)
    found = {
        name: [(rule, line[1]) for rule, block in blocks if (line := re.search(pattern, block))]
        for name, pattern in (("threads", r"threads: (\d+)"), ("resources", r"resources: (.*)"))
    }
    resources = {
        rule: dict(item.split("=") for item in line.split(", "))
        for rule, line in found["resources"]
    }
    assert params and resources
    return Handed(sorted(params), dict(found["threads"]), resources)


EXECUTION = {
    "ledger": {"path": "elsewhere", "mode": "replay"},
    "prices": {"scripted": {"prompt_usd_per_million": 1}},
    "budget": {"usd": 5, "tokens": 1000},
    "preflight": True,
    "in_flight": 9,
    "max_wait_seconds": 5,
    "max_unknown_failures": 0.5,
    "scoring_slots": 7,
    "containers": {"count": 3, "runs": 7},
    "training": {"checkpoint_steps": 5},
    "plan": {
        "mfu": 0.2,
        "accelerator_gib": 24,
        "accelerator_tflops": 10,
        "tokens_per_second": 900,
    },
    "models": {
        "teacher": {"base_url": "http://127.0.0.1:2", "slots": 9, "timeout_seconds": 7},
        "student": {"threads": 1, "gpu_layers": 5, "tensor_parallel": 2, "data_parallel": 2},
    },
}
"""Another value for each key of the section, but for the prices."""


def test_nothing_of_the_section_execution_is_hashed(project):
    """Beside it: the image's recipe counts where there is an image, and training in two tasks."""
    given = leaves(EXECUTION).keys() - leaves({"prices": EXECUTION["prices"]}).keys()
    defaults = leaves(checked(RunConfig, {}).filled()["execution"])
    servers = {path[2] for path in defaults if path[0] == "models"}
    assert {path for path in defaults if path[0] != "models"} <= given | {("prices",)}
    assert servers == {path[2] for path in given if path[0] == "models"}, "every key is tried"

    project.config["sandbox"] = {"backend": "docker"}
    before = handed(project)
    project.config["execution"] = EXECUTION
    assert handed(project).params == before.params

    recipe = project.root / "envs/sandbox/packages.txt"
    recipe.write_text(recipe.read_text("utf-8") + "another-package\n", "utf-8")
    project.config["sandbox"]["docker"] = {"runtime": "another"}
    project.config["training"] = {"accelerators": 2}
    after = handed(project)
    assert len(before.images) == 1 == len(after.images) and before.images != after.images
    runtimes = [text.count('"runtime": "another"') for text in map("".join, (before[0], after[0]))]
    assert runtimes[0] == 0 < runtimes[1]
    assert {"tasks": "2", "mpi": "srun"}.items() <= after.resources["train_student"].items()


def leaves(value, path=()) -> dict[tuple[str, ...], object]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {k: v for name, each in value.items() for k, v in leaves(each, (*path, name)).items()}


def test_trainings_are_told_the_steps_between_checkpoints(project):
    project.config["execution"]["training"] = {"checkpoint_steps": 5}
    code, said = project.run("all", "--dry-run", "--printshellcmds")
    told = re.findall(r"train_model\.py --execution '.*?\"checkpoint_steps\": (\d+)", said)
    assert code == 0 and told == ["5", "5"], said


def test_threads_follow_from_the_config(project):
    """On bubblewrap and without accelerators, where there is no image and there are no tasks."""
    project.config["execution"]["models"]["teacher"]["threads"] = 5
    project.config["execution"]["models"]["student"] = {"threads": 3}
    project.config["training"] = {"threads": 6}
    project.config["execution"]["scoring_slots"] = 7
    found = handed(project)
    expected = {"write_dialogues": "5", "run_duel": "5", "train_student": "6", "train_model": "6"}
    scoring = ("prepare_benchmark", "validate_benchmark", "score_samples")
    expected |= dict.fromkeys(scoring, "7")
    assert expected.items() <= found.threads.items()
    assert found.images == set()
    asked = found.resources
    assert asked["write_dialogues"]["gpu"] == "0" and asked["train_student"]["nodes"] == "1"
    assert not {"gpu", "tasks", "mpi"} & asked["train_student"].keys()


def test_gpus_and_tasks_follow_from_the_config(project):
    teacher = {"name": "big", "kind": "vllm", "resource": "smollm2-135m"}
    project.config["models"]["teacher"] = teacher
    server = {"tensor_parallel": 2, "data_parallel": 3, "threads": 1}
    project.config["execution"]["models"]["teacher"] = server
    project.config["training"] = {"accelerator": "cuda", "accelerators": 4, "global_batch": 8}
    found = handed(project).resources
    for rule in ("write_dialogues", "run_duel"):
        assert {"gpu": "6", "nodes": "1"}.items() <= found[rule].items()
    wanted = {"gpu": "4", "tasks": "4", "tasks_per_gpu": "0", "nodes": "1", "mpi": "srun"}
    # On one machine it takes turns with the model servers, which start on the same GPUs.
    assert (wanted | {"model_server": "1"}).items() <= found["train_student"].items()


def test_a_copy_of_the_last_student_asks_for_no_gpu(project):
    project.config["training"] = {"accelerator": "cuda", "accelerators": 4, "global_batch": 8}
    found = handed(project).resources["train_model"]
    assert {"gpu": "0", "nodes": "1"}.items() <= found.items()
    assert not {"tasks", "tasks_per_gpu", "mpi", "model_server"} & found.keys()

    # Its action is not in the store any more: the final model has to be trained.
    note = project.root / ".aiev/made/results/tiny/rounds/0/student.sha256.json"
    write_json(note, {"sha256": "0" * 64, "key": "0" * 64})
    assert {"gpu": "4", "mpi": "srun"}.items() <= handed(project).resources["train_model"].items()


@pytest.mark.parametrize(("author", "gpus"), [(None, "<TBD>"), ("teacher", "0"), ("student", "4")])
def test_a_round_asks_for_the_gpus_of_the_model_that_the_gate_has_named(project, author, gpus):
    project.config["models"]["student"] = {"name": "s", "kind": "vllm", "resource": "smollm2-135m"}
    project.config["execution"]["models"]["student"] = {"data_parallel": 4, "threads": 1}
    project.config["rounds"] |= {"count": 2}
    project.config["seeds"]["shards"] = 2
    if author:
        write_json(project.root / "results/tiny/rounds/0/next.json", {"author": author})
    assert gpus_of_rounds(project) == {"0": "0", "1": gpus}
    project.config["rounds"]["self_learning"] = False
    assert gpus_of_rounds(project) == {"0": "0", "1": "0"}


def gpus_of_rounds(project) -> dict[str, str]:
    """GPUs for which write_dialogues asks, by round."""
    code, said = project.run("all", "--dry-run")
    assert code == 0, said
    blocks = re.findall(r"^rule write_dialogues:\n((?: {4}.*\n)*)", said, re.MULTILINE)
    rounds = (re.search(r"round=(\d+)(?s:.*)\bgpu=([^,\s]+)", block) for block in blocks)
    return dict(found.groups() for found in rounds)


def test_the_test_split_is_an_input_of_training_where_its_loss_is_measured(project):
    assert "tag_test" not in handed(project).resources
    project.config["training"] = {"test_steps": 5}
    code, said = project.run("all", "--dry-run", "--printshellcmds")
    assert code == 0 and said.count("--test results/tiny/rounds/0/test/tagged.jsonl") == 2, said


def test_a_job_is_given_the_endpoints_of_the_models_that_it_asks_and_no_others(project):
    """So that an edit in one of them makes only those jobs stale that could have used it."""
    student = {"name": "small", "kind": "llamacpp", "resource": "smollm2-135m"}
    project.config["models"]["student"] = student
    code, said = project.run("all", "--dry-run", "--printshellcmds")
    assert code == 0, said
    asked: dict[str, set[tuple[str, ...]]] = {}
    for script, command in re.findall(r"/scripts/(\w+)\.py (.*)", said):
        kinds = tuple(sorted(re.findall(r"aiev\.llm\.endpoints\.(\w+)", command)))
        asked.setdefault(script, set()).add(kinds)
    assert asked["write_dialogues"] == {("openai",)}, "the first round is the teacher's"
    assert asked["run_duel"] == {("llamacpp", "openai")}
    assert asked["generate_samples"] == {("llamacpp",), ("openai",)}
    assert asked["train_model"] == asked["score_samples"] == {()}
