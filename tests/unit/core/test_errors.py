"""Errors for users say what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.files import SCRIPTS

KINDS = {"UserError", *(kind.__name__ for kind in UserError.__subclasses__())}
ALLOWED = {
    "aiev/core/chosen.py": 1,  # the hint is added where it is caught
    "aiev/dataset/decontaminate.py": 1,  # from here on: a mistake of ours, or of another program
    "aiev/engine/action.py": 1,
    "aiev/engine/codehash.py": 2,
    "aiev/engine/events.py": 1,
    "aiev/recipes/verification/observe.py": 1,
    "aiev/reporting/scores.py": 4,
    "aiev/sandbox/docker/build.py": 3,
    "aiev/training/launch.py": 1,
    "benches/sandbox.py": 1,
}
"""How many errors of a module have no hint."""


def without_hint(path: Path) -> Iterator[int]:
    """Lines of the raised errors that have none."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
            continue
        if getattr(node.exc.func, "id", "") in KINDS:
            names = {word.arg for word in node.exc.keywords}
            if not {"hint", None} & names:
                yield node.lineno


def test_every_error_has_a_hint():
    found = {
        path.relative_to(SCRIPTS).as_posix(): [*without_hint(path)]
        for path in sorted(SCRIPTS.rglob("*.py"))
    }
    more = {name: lines for name, lines in found.items() if len(lines) > ALLOWED.get(name, 0)}
    assert not more, "say what to do about it"
