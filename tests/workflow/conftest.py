"""A small project of its own for each test."""

import pytest
from project import Project


@pytest.fixture
def project(tmp_path, scripted):
    return Project(tmp_path / "project", scripted.url)
