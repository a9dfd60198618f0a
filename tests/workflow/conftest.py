"""What the workflow tests share: a small project for each, and finished runs to copy."""

import pickle

import pytest
from filelock import FileLock
from matrix import finished, prepared, script
from project import Project
from scripted import scripted_endpoint
from tiny import answers


@pytest.fixture
def project(tmp_path, scripted):
    return Project(tmp_path / "project", scripted.url)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    """`_finished(trained)`: a whole run, made once for all processes of pytest. In the one that is
    not trained a dialogue installs a package."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a process of pytest-xdist has a folder of its own
        shared = shared.parent

    def make(trained: bool) -> Project:
        root = shared / ("trained" if trained else "finished")
        with FileLock(f"{root}.lock"):
            note = root / "project.pickle"
            if not note.exists():
                with scripted_endpoint(answers if trained else script) as endpoint:
                    mirror = root / "mirror"
                    project = finished(prepared(root / "project", endpoint.url, mirror, trained))
                note.write_bytes(pickle.dumps(project))
            return pickle.loads(note.read_bytes())

    return make


@pytest.fixture(scope="session")
def finished_copy(_finished):
    """`finished_copy(root, url)`: a copy of a finished run, whose models are asked at `url`.

    Without a url nothing answers: for what must not ask anything. trained: whether DeepSpeed
    trained its student, or quick_training.py stands in for it here and when it is run again.
    """

    def make(root, url: str = "http://127.0.0.1:9", trained: bool = False) -> Project:
        project = _finished(trained).copy_to(root)
        for server in project.config["execution"]["models"].values():
            server["base_url"] = url
        (root / "tiny.yaml").write_text(project.dump(project.config))
        return project

    return make
