"""The backends under the same tests, bubblewrap for two users. Those on Docker are `real`; those as
another user than the one who runs the tests are `slow`."""

import os
import shutil
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path

import numpy
import pytest
from needs import unavailable
from ordinary_user import ordinary_user

from aiev.core.errors import UserError
from aiev.sandbox.api import Limits, Request, open_sandbox


@pytest.fixture(scope="session")
def bubblewrap():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture(scope="session")
def docker():
    """Needs an engine with the image: `make sandbox-image`, or tests/engine and then that."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(open_sandbox("docker"))
        except UserError as error:
            unavailable(f"Docker: {error.message}")
        yield opened


@pytest.fixture(scope="session")
def open_folder():
    """A folder that every user may enter: other sessions of pytest close its own to all others."""
    with tempfile.TemporaryDirectory(prefix="sandbox-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def tmp_path(open_folder):
    """pytest's own, but in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def user(open_folder):
    """The bubblewrap backend of an ordinary user."""
    (own := open_folder / "user").mkdir()
    with ordinary_user(own) as opened:
        yield opened


BACKENDS = ["bubblewrap", pytest.param("docker", marks=pytest.mark.real)]
if os.geteuid() == 0:
    BACKENDS.append(pytest.param("user", marks=pytest.mark.slow))


@pytest.fixture(scope="session", params=BACKENDS)
def sandbox(request):
    """Each backend in turn, bubblewrap under root and under an ordinary user."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def numpy_layer(open_folder):
    """A layer that holds NumPy and nothing else."""
    (layer := open_folder / "layer").mkdir()
    for name in ("numpy", "numpy.libs"):
        if (folder := Path(numpy.__file__).parents[1] / name).is_dir():
            shutil.copytree(folder, layer / name, ignore=shutil.ignore_patterns("tests"))
    return layer


@pytest.fixture
def play(sandbox):
    """Run a program's text; keywords of Limits go there, others to the request."""

    def run(code, files=None, command=("python", "main.py"), **extra):
        names = set(Limits.__dataclass_fields__) & set(extra)
        limits = Limits(**{name: extra.pop(name) for name in names})
        code = textwrap.dedent(code) if isinstance(code, str) else code
        return sandbox.run(Request({"main.py": code, **(files or {})}, command, limits, **extra))

    return run
