"""What the workflow tests share: a small project for each, and finished runs to copy."""

import pickle

import pytest
from filelock import FileLock
from matrix import finished, prepared, script
from project import Project
from scripted import scripted_endpoint


@pytest.fixture
def project(tmp_path, scripted):
    return Project(tmp_path / "project", scripted.url)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    """`_finished()`: a whole run, made once for all processes of pytest."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a process of pytest-xdist has a folder of its own
        shared = shared.parent

    def make() -> Project:
        root = shared / "finished"
        with FileLock(f"{root}.lock"):
            note = root / "project.pickle"
            if not note.exists():
                with scripted_endpoint(script) as endpoint:
                    place, mirror = root / "project", root / "mirror"
                    project = finished(prepared(place, endpoint.url, mirror, trained=False))
                note.write_bytes(pickle.dumps(project))
            return pickle.loads(note.read_bytes())

    return make


@pytest.fixture(scope="session")
def finished_copy(_finished):
    """`finished_copy(root, url)`: a copy of a finished run, in which a dialogue installed a package
    and quick_training.py stood in for DeepSpeed; its models are asked at `url`.

    Without a url nothing answers: for what must not ask anything.
    """

    def make(root, url: str = "http://127.0.0.1:9") -> Project:
        project = _finished().copy_to(root)
        for server in project.config["execution"]["models"].values():
            server["base_url"] = url
        (root / "tiny.yaml").write_text(project.dump(project.config))
        return project

    return make
