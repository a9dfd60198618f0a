"""What a rule hands to its job: seen in a dry run, where no engine and no model is needed."""

import re

import pytest
from project import DIALOGUES

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


def test_how_many_containers_there_are_decides_nothing(project):
    project.config["sandbox"] = {"backend": "docker"}
    before = handed(project)
    project.config["execution"]["containers"] = {"count": 3, "runs": 7}
    assert handed(project) == before
    project.config["sandbox"]["docker"] = {"runtime": "another"}
    assert handed(project) != before


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


def handed(project) -> list[str]:
    """The parameters that decide the dialogues, as they would be handed over."""
    code, said = project.run(DIALOGUES, "--dry-run", "--printshellcmds")
    assert code == 0, said
    found = re.findall(r"--params ('\{.*?\}')", said)
    assert found
    return found
