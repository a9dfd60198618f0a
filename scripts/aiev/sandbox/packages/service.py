"""Installs the packages that a program asks for, as layers that run without network.

A set of requirements is resolved once and recorded, refusals included, so that it stays the same
set; in replay mode nothing else is looked up. The record holds names, versions and digests, and no
address: a layer that was deleted is made again from it, from any index that has the wheels.
"""

import importlib.util
import json
import re
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rapidfuzz import fuzz, process

from aiev.core.errors import UserError
from aiev.core.files import dump_line, mark_used
from aiev.core.hashing import of_json
from aiev.sandbox.api import SITE_PACKAGES
from aiev.sandbox.packages.layers import (
    FORMAT,
    compile_all,
    locked,
    make_read_only,
    unpack,
    work_folder,
)
from aiev.sandbox.packages.resolver import InstallFailed, Pip

__all__ = ["InstallFailed", "Layer", "Packages", "RecordStore"]

SHA256 = re.compile(r"[0-9a-f]{64}")
MIN_SIMILARITY = 75
"""Similarity, of 100, from which a listed name is suggested in place of another."""
MODULE_PACKAGES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "pil": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
"""Package by the name of its module, where the two differ."""


class RecordStore(Protocol):
    """Keeps one text for each key, a JSON object. The ledger of model answers is one."""

    mode: str
    """"record", or "replay" where nothing new may be looked up."""

    def get(self, key: dict[str, Any]) -> str | None:
        """The text of that key, None without one. Raises UserError for a damaged record, and in
        replay mode for a missing one."""

    def put(self, key: dict[str, Any], text: str) -> None:
        """Keep the text under that key."""

    def place(self, key: dict[str, Any]) -> str:
        """Where the key's record lies, for error messages."""


@dataclass(frozen=True)
class Layer:
    """Unpacked packages, each with name, version and sha256 of its wheel. digest: of all of them.
    mounts: for `Request.mounts`."""

    digest: str
    mounts: Mapping[str, Path]
    packages: list[dict[str, str]]


@dataclass(frozen=True)
class Packages:
    """Makes layers; safe for many threads and processes at once.

    records: keeps the resolutions. store: where the layers lie.
    allow: names that may be asked for; what they need comes with them, but for names in `deny`.
    max_mib: limit on all unpacked files together. seconds: limit on one installation.
    """

    records: RecordStore
    store: Path
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    max_mib: int = 1024
    seconds: int = 300

    def layer(self, requirements: Sequence[str]) -> Layer:
        """The layer that fulfils the requirements, each as `pip install` takes it.

        Raises InstallFailed with a reason for the author of the program; UserError if this machine
        is to blame, or if there is no record in replay mode.
        """
        request = {
            "kind": "packages",
            "requirements": sorted({self._checked(text) for text in requirements}),
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "platform": sysconfig.get_platform(),
        }
        with locked(self.store / ".locks" / of_json(request)):
            entry = self._find(request) or self._resolved(request)
            if entry["failed"]:
                raise InstallFailed(entry["failed"])
            return self._layer_of(entry["packages"])

    def recorded(self, packages: list[dict[str, str]]) -> Layer:
        """The layer of packages that a dialogue has on record. They include dependencies, which
        need not be on the list of allowed names. Raises as `layer`."""
        with locked(self.store / ".locks" / of_json(packages)):
            return self._layer_of(packages)

    def _layer_of(self, packages: list[dict[str, str]]) -> Layer:
        self._check_names(packages)
        place = self._place(packages)
        if not place.is_dir():
            self._remake(packages)
        mark_used(place)
        return Layer(place.name, MappingProxyType({SITE_PACKAGES: place}), packages)

    def _limits(self) -> dict[str, Any]:
        denied = sorted(map(canonicalize_name, self.deny))
        return {"deny": denied, "max_mib": self.max_mib, "seconds": self.seconds}

    def _find(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The recorded resolution: {"packages", "failed": reason or "", "limits"}; None if it has
        to be made. A refusal holds only under the limits that it was made under."""
        text = self.records.get(request)
        if text is None:
            return None
        entry = _parsed(text, self.records.place(request))
        if not entry["failed"] or entry["limits"] == self._limits():
            return entry
        if self.records.mode == "replay":
            raise UserError(
                f"replay: a refusal under other limits: {' '.join(request['requirements'])}",
                where=self.records.place(request),
                hint="use the run's own sandbox.packages, or set execution.ledger.mode to record",
            )
        return None

    def _resolved(self, request: dict[str, Any]) -> dict[str, Any]:
        """Resolve, make the layer, and record the outcome."""
        packages, failed = [], ""
        try:
            with work_folder(self.store) as work:
                pip = self._pip(work)
                packages = pip.resolve(request["requirements"])
                self._check_names(packages)
                self._make(pip, packages, work)
        except InstallFailed as failure:
            packages, failed = [], str(failure)
        # Another process with the same records may have been first; what was used once stays.
        if recorded := self._find(request):
            return recorded
        entry = {"packages": packages, "failed": failed, "limits": self._limits()}
        self.records.put(request, dump_line(entry))
        return entry

    def _remake(self, packages: list[dict[str, str]]) -> None:
        """Make a recorded layer that is not here; it could be installed when it was recorded."""
        try:
            with work_folder(self.store) as work:
                self._make(self._pip(work), packages, work)
        except InstallFailed as failure:
            names = " ".join(f"{p['name']}=={p['version']}" for p in packages)
            raise UserError(
                f"packages on record cannot be installed here: {failure}",
                where=names,
                hint="make their wheels available in an index that pip uses here",
            ) from failure

    def _pip(self, work: Path) -> Pip:
        if not importlib.util.find_spec("pip"):
            raise UserError("there is no pip here", hint=f"{sys.executable} -m ensurepip")
        return Pip(work, time.monotonic() + self.seconds, self.seconds, self.max_mib)

    def _make(self, pip: Pip, packages: list[dict[str, str]], work: Path) -> None:
        place = self._place(packages)
        if place.is_dir():
            return
        wheels = pip.fetch(packages) if packages else []
        unpack(wheels, work / "layer", self.max_mib)
        compile_all(work / "layer", self.max_mib, pip.deadline)
        make_read_only(work / "layer")
        try:
            (work / "layer").rename(place)
        except OSError:
            if not place.is_dir():  # else another process was first, with the same files
                raise

    def _place(self, packages: list[dict[str, str]]) -> Path:
        return self.store.absolute() / of_json([FORMAT, packages])

    def _check_names(self, packages: list[dict[str, str]]) -> None:
        denied = {canonicalize_name(name) for name in self.deny}
        for package in packages:
            if package["name"] in denied:
                raise InstallFailed(f"{package['name']} may not be installed here.")

    def _checked(self, text: str) -> str:
        """The requirement in normal form. Raises InstallFailed if it may not be asked for."""
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            raise InstallFailed(
                f"{text[:200]!r}: only names of packages, with versions, can be installed."
            ) from None
        # pip looks whether it is a path first: `name===/../../wheels/name.whl` is one.
        if requirement.url or "/" in text:
            raise InstallFailed(f"{requirement.name}: packages come from the package index only.")
        requirement.name = canonicalize_name(requirement.name)
        allowed = {canonicalize_name(name) for name in self.allow}
        denied = {canonicalize_name(name) for name in self.deny}
        if requirement.name not in allowed - denied:
            raise InstallFailed(_not_listed(requirement.name, sorted(allowed - denied)))
        return str(requirement)


def _parsed(text: str, place: str) -> dict[str, Any]:
    """The record's content. Raises UserError if it is malformed: a ledger may come from anybody."""
    try:
        entry = json.loads(text)
        valid = isinstance(entry["failed"], str) and isinstance(entry["limits"], dict)
        for package in entry["packages"]:
            valid &= canonicalize_name(package["name"], validate=True) == package["name"]
            valid &= bool(Version(package["version"]) and SHA256.fullmatch(package["sha256"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise UserError("malformed package record", where=place, hint="delete it, then run again")
    return entry


def _not_listed(name: str, allowed: list[str]) -> str:
    if name.replace("-", "_") in sys.stdlib_module_names:
        return f"{name} is a module of the standard library, and is not to be installed."
    text = f"{name} is not on the list of packages that may be installed."
    like = process.extractOne(name, allowed, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY)
    meant = MODULE_PACKAGES.get(name) if MODULE_PACKAGES.get(name) in allowed else like and like[0]
    return f"{text} Did you mean {meant}?" if meant else text
