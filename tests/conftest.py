"""What all tests share: a scripted endpoint, and a client that has it to ask."""

import pytest
from project import DIALOGUES, Project
from scripted import Scripted, scripted_endpoint

from aiev.llm.endpoints.base import Endpoint

LONGEST = ("test_verify", "test_staleness", "test_kills", "test_self_learning", "test_crashes")
"""Files of the workflow's tests that take minutes, the longest first."""


def pytest_collection_modifyitems(items):
    """Put the files first that take longest, which are those of the workflow: two processes share
    the files, and a long one at the end would leave one of them without work."""

    def place(item) -> tuple[bool, int]:
        name = item.path.stem
        long = LONGEST.index(name) if name in LONGEST else len(LONGEST)
        return "workflow" not in item.keywords, long

    items.sort(key=place)


@pytest.fixture
def scripted():
    """A chat endpoint on a loopback port. Set `.script` and `.delay`; see tests/scripted.py."""
    with scripted_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint_of():
    """The project's view of a scripted endpoint."""

    def make(scripted: Scripted | str, slots: int = 4, **fields) -> Endpoint:
        url = scripted if isinstance(scripted, str) else scripted.url
        chosen = {"kind": "openai", "model": "scripted", "digest": "1", "api_key": "secret-key"}
        return Endpoint(base_url=url, slots=slots, **{**chosen, **fields})

    return make


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Dialogues' bytes, and the questions asked, of a run that nothing disturbs."""
    with scripted_endpoint() as endpoint:
        project = Project(tmp_path_factory.mktemp("undisturbed") / "project", endpoint.url)
        code, said = project.run()
        assert code == 0, said
        return project.file(DIALOGUES), set(endpoint.answered)
