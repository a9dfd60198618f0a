"""What a rule hands to its job: seen in a dry run, where no engine and no model is needed."""

import re

import pytest
from project import DIALOGUES

from aiev.config.run import RunConfig
from aiev.core.settings import checked

pytestmark = pytest.mark.workflow


def image(project) -> list[str]:
    """Digests of the sandbox's image among the parameters that would be handed over."""
    code, said = project.run(DIALOGUES, "--dry-run", "--printshellcmds")
    assert code == 0, said
    return re.findall(r'"sandbox_image": "(\w+)"', said)


def test_the_image_s_recipe_counts_where_there_is_an_image(project):
    recipe = project.root / "envs/sandbox/packages.txt"
    assert image(project) == []
    project.config["sandbox"] = {"backend": "docker"}
    (before,) = image(project)
    recipe.write_text(recipe.read_text("utf-8") + "another-package\n", "utf-8")
    (after,) = image(project)
    assert before != after


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
    "plan": {
        "mfu": 0.2,
        "accelerator_gib": 24,
        "accelerator_tflops": 10,
        "tokens_per_second": 900,
    },
    "models": {
        "teacher": {"base_url": "http://127.0.0.1:2", "slots": 9, "timeout_seconds": 7},
        "student": {"threads": 1, "gpu_layers": 5, "tensor_parallel": 2},
    },
}
"""Another value for each key of the section, but for the prices."""


def test_nothing_of_the_section_execution_is_hashed(project):
    given = leaves(EXECUTION).keys() - leaves({"prices": EXECUTION["prices"]}).keys()
    defaults = leaves(checked(RunConfig, {}).filled()["execution"])
    servers = {path[2] for path in defaults if path[0] == "models"}
    assert {path for path in defaults if path[0] != "models"} <= given | {("prices",)}
    assert servers == {path[2] for path in given if path[0] == "models"}, "every key is tried"

    project.config["sandbox"] = {"backend": "docker"}
    before = handed(project, "all")
    project.config["execution"] = EXECUTION
    assert handed(project, "all") == before
    project.config["sandbox"]["docker"] = {"runtime": "another"}
    assert handed(project, "all") != before


def leaves(value, path=()) -> dict[tuple[str, ...], object]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {k: v for name, each in value.items() for k, v in leaves(each, (*path, name)).items()}


def test_threads_follow_from_the_config(project):
    project.config["execution"]["models"]["teacher"]["threads"] = 5
    project.config["execution"]["models"]["student"] = {"threads": 3}
    project.config["training"] = {"threads": 6}
    project.config["execution"]["scoring_slots"] = 7
    code, said = project.run("all", "--dry-run", cores=16)
    assert code == 0, said
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", said, re.MULTILINE)
    threads = [(rule, re.search(r"threads: (\d+)", block)) for rule, block in blocks]
    found = {rule: line[1] for rule, line in threads if line}
    expected = {"write_dialogues": "5", "run_duel": "5", "train_model": "6", "score_samples": "7"}
    assert expected.items() <= found.items()


def test_gpus_and_tasks_follow_from_the_config(project):
    teacher = {"name": "big", "kind": "vllm", "resource": "smollm2-135m"}
    project.config["models"]["teacher"] = teacher
    project.config["execution"]["models"]["teacher"] = {"tensor_parallel": 2, "threads": 1}
    project.config["training"] = {"accelerator": "cuda", "accelerators": 4, "global_batch": 8}
    found = asked(project)
    for rule in ("write_dialogues", "run_duel"):
        assert {"gpu": "2", "nodes": "1"}.items() <= found[rule].items()
    for rule in ("train_student", "train_model"):
        wanted = {"gpu": "4", "tasks": "4", "tasks_per_gpu": "0", "nodes": "1", "mpi": "srun"}
        assert wanted.items() <= found[rule].items()
    project.config["training"] = {"accelerators": 2}
    assert {"tasks": "2", "mpi": "srun"}.items() <= asked(project)["train_student"].items()
    del project.config["training"], project.config["models"]["teacher"]
    del project.config["execution"]["models"]
    found = asked(project)
    assert found["write_dialogues"]["gpu"] == "0" and found["train_student"]["nodes"] == "1"
    assert not {"gpu", "tasks", "mpi"} & found["train_student"].keys()


def asked(project) -> dict[str, dict[str, str]]:
    """What each rule's jobs would ask for."""
    code, said = project.run("all", "--dry-run")
    assert code == 0, said
    blocks = re.findall(r"rule (\w+):\n(?:.*\n)*?    resources: (.*)\n", said)
    return {rule: dict(item.split("=") for item in line.split(", ")) for rule, line in blocks}


def handed(project, *targets: str) -> list[str]:
    """The parameters of all jobs, as they would be handed over."""
    code, said = project.run(*targets, "--dry-run", "--printshellcmds")
    assert code == 0, said
    found = re.findall(r"--params ('\{.*?\}')", said)
    assert found
    return sorted(found)  # in whatever order the jobs would run
