"""A small project of its own for each test."""

import pytest
from project import DIALOGUES, Project
from scripted import scripted_endpoint


@pytest.fixture
def project(tmp_path, scripted):
    return Project(tmp_path / "project", scripted.url)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Dialogues' bytes, and the questions asked, of a run that nothing disturbs."""
    with scripted_endpoint() as endpoint:
        project = Project(tmp_path_factory.mktemp("undisturbed") / "project", endpoint.url)
        code, said = project.run()
        assert code == 0, said
        return project.file(DIALOGUES), set(endpoint.answered)
