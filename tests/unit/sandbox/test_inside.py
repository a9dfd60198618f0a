"""What is copied into the sandbox finds nothing of the project there."""

import ast
import sys
from itertools import chain
from pathlib import Path

import pytest

from aiev.core.files import SCRIPTS

PACKAGE = SCRIPTS / "aiev"
COPIED = sorted(
    chain(
        PACKAGE.glob("**/inside/*.py"),
        PACKAGE.glob("recipes/verification/boxed/*.py"),
        PACKAGE.glob("languages/python/run_main.py"),
    )
)

TOOLS = {
    "evaluation/evalplus/inside/read_inputs.py": {"evalplus.data.mbpp"},
    "evaluation/ds1000/inside/handover.py": {"numpy"},
    "evaluation/ds1000/inside/run.py": {"matplotlib.figure", "matplotlib.pyplot"},
}
"""What of a tool's own a file runs in the sandbox, where the tool is installed."""


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports when it runs."""
    names = set()
    todo = [ast.parse(path.read_text("utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
        todo += ast.iter_child_nodes(node)
    return names


@pytest.mark.parametrize("path", COPIED, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_it_imports_the_standard_library_and_its_neighbours_only(path):
    package = ".".join(path.relative_to(SCRIPTS).parent.parts)
    neighbours = {other.stem for other in path.parent.glob("*.py")}
    neighbours |= {f"{package}.{name}" for name in neighbours}
    foreign = {
        name
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name.removeprefix(".") not in {"", *neighbours}
    }
    assert foreign == TOOLS.get(path.relative_to(PACKAGE).as_posix(), set())


def test_the_folders_are_found():
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in COPIED}
    assert {"sandbox/inside", "evaluation/evalplus/inside", "recipes/verification/boxed"} < folders
