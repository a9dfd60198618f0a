"""What the workflow tests share: a small project for each, and a finished run to copy."""

import copy
import pickle

import pytest
from filelock import FileLock
from matrix import finished, prepared
from project import Project
from scripted import scripted_endpoint
from tiny import answers


@pytest.fixture
def project(tmp_path, scripted):
    return Project(tmp_path / "project", scripted.url)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    """A whole run, made once for all processes of pytest, with its student really trained."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a process of pytest-xdist has a folder of its own
        shared = shared.parent
    with FileLock(shared / "finished.lock"):
        note = shared / "finished.pickle"
        if not note.exists():
            with scripted_endpoint(answers) as endpoint:
                root = shared / "finished"
                project = finished(prepared(root / "project", endpoint.url, root / "mirror"))
            note.write_bytes(pickle.dumps(project))
        return pickle.loads(note.read_bytes())


@pytest.fixture(scope="session")
def finished_copy(_finished):
    """`finished_copy(root, url)`: a copy of a finished run, whose models are asked at `url`.

    Without a url nothing answers: for what must not ask anything."""

    def make(root, url: str = "http://127.0.0.1:9") -> Project:
        project = _finished.copy_to(root)
        project.config = copy.deepcopy(project.config)
        for server in project.config["execution"]["models"].values():
            server["base_url"] = url
        return project

    return make
