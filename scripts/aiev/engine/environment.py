"""The environment that jobs run in: the pinned packages and Python's own version."""

import sys
from pathlib import Path

from aiev.core.hashing import of_file, of_json

ENVS = Path(__file__).parents[3] / "envs"
PINS = ("lock.txt", "converter.txt")
"""Files that say which packages are there; build.txt only says how they get there."""


def pins(envs: Path = ENVS) -> dict[str, str]:
    """Name -> digest of the files in `envs` that pin packages."""
    return {name: of_file(envs / name) for name in PINS if (envs / name).exists()}


def environment(envs: Path = ENVS) -> str:
    """Digest of all that a job's outputs may owe to its environment. Of Python the two numbers
    that its behaviour and its packages' builds depend on."""
    return of_json([list(sys.version_info[:2]), pins(envs)])
