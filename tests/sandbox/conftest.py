"""The two backends under the same tests; those on Docker are marked `real`."""

import shutil
import textwrap
from contextlib import ExitStack
from pathlib import Path

import numpy
import pytest
from needs import unavailable

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


@pytest.fixture(
    scope="session", params=["bubblewrap", pytest.param("docker", marks=pytest.mark.real)]
)
def sandbox(request):
    """Each backend in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def numpy_layer(tmp_path_factory):
    """A layer that holds NumPy and nothing else."""
    layer = tmp_path_factory.mktemp("layer")
    for name in ("numpy", "numpy.libs"):
        if (folder := Path(numpy.__file__).parents[1] / name).is_dir():
            shutil.copytree(folder, layer / name, ignore=shutil.ignore_patterns("tests"))
    for folder in (layer, *list(layer.parents)[:2]):
        folder.chmod(0o755)  # pytest's folders are closed to others
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
