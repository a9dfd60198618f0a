"""The pinned files that the real tests need, fetched once into resources/, as a run does it."""

import os
from pathlib import Path

import pytest
import yaml
from needs import unavailable

from aiev.core.errors import UserError
from aiev.core.hashing import of_file
from aiev.resources.declare import declared
from aiev.resources.fetch import fetch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def resource(tmp_path_factory):
    """`resource(name)` is the checked file of a declaration in config/resources.yaml."""
    declarations = yaml.safe_load((ROOT / "config/resources.yaml").read_text("utf-8"))

    def get(name: str) -> Path:
        wanted = declared(declarations[name])
        path = ROOT / "resources" / name / wanted.file
        if not path.exists() or of_file(path) != wanted.sha256:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                fetch(wanted, path, tmp_path_factory.mktemp("wheels"))
            except UserError as error:
                unavailable(f"{name} cannot be fetched here: {error.message}")
        return path

    return get


@pytest.fixture(scope="session")
def trained_student(resource, tmp_path_factory):
    """A checkpoint of the laptop run's student after one step, with the four tokens."""
    from test_serving import trained

    return trained(resource("smollm2-135m"), tmp_path_factory.mktemp("student"))


@pytest.fixture
def mirror(tmp_path, resource):
    """A directory with links to named resources, for AUTOCODER_MIRROR."""

    def make(*names: str) -> Path:
        folder = tmp_path / "mirror"
        folder.mkdir()
        for name in names:
            os.symlink(resource(name), folder / resource(name).name)
        return folder

    return make
