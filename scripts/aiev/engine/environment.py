"""The environment that jobs run in: the pinned packages and Python's own version."""

import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.files import read_text
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


def check_installed(envs: Path = ENVS) -> None:
    """Raise UserError for a package that is not here in the version that the files in `envs` pin:
    `environment` would vouch for packages that did not make the outputs.

    A build of the same version, as torch's for CUDA (2.13.0+cu130), counts as that version.
    """
    there = _listed()
    for name in pins(envs):
        for package, pinned in _pinned(envs / name):
            # The list of directories answers in 2 ms for all; only where it says otherwise is a
            # package's own metadata read.
            if there.get(_normal(package)) == pinned or (found := _version(package)) == pinned:
                continue
            raise UserError(
                f"{package} {found} is installed, and envs/{name} pins {pinned}"
                if found
                else f"{package} is not installed, and envs/{name} pins {pinned}",
                where=sys.prefix,
                hint="set up the environment again: make -B .venv",
            )


def _pinned(path: Path) -> Iterator[tuple[str, str]]:
    """(package, public version) of each line of a file that counts on this machine."""
    from packaging.requirements import Requirement

    for line in read_text(path).splitlines():
        line = re.sub(r"(^|\s)#.*|\s--.*|\s*\\$", "", line).strip()
        if not line or line.startswith("-"):
            continue
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        for each in wanted.specifier:
            if each.operator == "==":
                yield wanted.name, _public(each.version)


def _listed() -> dict[str, str]:
    """Normal name -> public version of the packages on Python's path, by the names of their
    metadata's directories."""
    found: dict[str, str] = {}
    for folder in filter(os.path.isdir, sys.path):
        for each in os.listdir(folder):
            if each.endswith(".dist-info"):
                name, _, version = each.removesuffix(".dist-info").rpartition("-")
                found.setdefault(_normal(name), _public(version))
    return found


def _version(package: str) -> str:
    """Public version of a package by its metadata; "" for one that is not installed."""
    try:
        return _public(metadata.version(package))
    except metadata.PackageNotFoundError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _public(version: str) -> str:
    return version.partition("+")[0]
