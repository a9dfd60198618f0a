"""A student whose checkpoint lies in a directory."""

import shutil

import pytest
from matrix import prepared
from scripted import scripted_endpoint
from tiny import answers

from aiev.core.files import read_json

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose student is made from its GGUF file, and lies in models/tiny as well."""
    root = tmp_path_factory.mktemp("students")
    with scripted_endpoint(answers) as endpoint:
        project = prepared(root / "project", endpoint.url, root / "mirror")
        code, said = project.run("resources/students/tiny", seconds=900)
        assert code == 0, said
        shutil.copytree(project.root / "resources/students/tiny", project.root / "models/tiny")
        yield project


def test_a_student_in_a_directory(project):
    own = project.root / "own.jinja"
    own.write_text("{% for m in messages %}{{ m.role + m.content }}<|im_end|>\n{% endfor %}")
    student = {"name": "there", "resource": "", "checkpoint": "models/tiny"}
    project.config["models"]["student"] |= {**student, "chat_template": "own.jinja"}
    target = project.root / "resources/students/there"
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 0, said
    assert (target / "chat_template.jinja").read_text() == own.read_text()
    assert read_json(target / "config.json")["eos_token_id"] is not None
    # Both the template and a file of the checkpoint are inputs.
    own.write_text(own.read_text().replace("m.role", "m['role']"))
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 0 and "m['role']" in (target / "chat_template.jinja").read_text(), said
    weights = next((project.root / "models/tiny").glob("*.safetensors"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    code, said = project.run("resources/students/there", seconds=900)
    assert code == 2 and "its header describes" in said
    weights.write_bytes(kept)
