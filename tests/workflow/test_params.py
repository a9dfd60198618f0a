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
    project.config["sandbox"]["docker"] = {"containers": 3, "runs": 7}
    assert handed(project) == before
    project.config["sandbox"]["docker"] = {"runtime": "another"}
    assert handed(project) != before


def handed(project) -> list[str]:
    """The parameters that decide the dialogues, as they would be handed over."""
    code, said = project.run(DIALOGUES, "--dry-run", "--printshellcmds")
    assert code == 0, said
    found = re.findall(r"--params ('\{.*?\}')", said)
    assert found
    return found
