"""What commands to pip mean for the packages that are installed.

pip is not run on them: packages come from the sandbox's own installer, as wheels, from a list of
names. Options that name another source are kept as requirements, to be refused by name.
"""

import json
import re
from collections.abc import Iterable, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

ALWAYS_HERE = ("pip", "uv")
"""Tools whose stand-ins are in the box: many blocks begin with upgrading them."""
WITH_THEM = ("setuptools", "wheel")
"""What is upgraded in one command with pip, by habit: no program asks for it so."""
MAX_CALLS = 100
"""Calls of pip that are read; a shell block has a few."""
# Options that name another source, by all their spellings.
_SOURCES = {
    **dict.fromkeys(("-c", "--constraint"), "--constraint"),
    **dict.fromkeys(("-e", "--editable"), "--editable"),
    **dict.fromkeys(("-i", "--index-url"), "--index-url"),
    **dict.fromkeys(("-f", "--find-links"), "--find-links"),
    "--extra-index-url": "--extra-index-url",
}
# Options with a value, without effect here: their values are no requirements.
_VALUES = (
    *("-t", "--target", "--root", "--prefix", "--src", "--cache-dir", "--log", "--report"),
    *("--platform", "--python-version", "--implementation", "--abi", "--upgrade-strategy"),
    *("--no-binary", "--only-binary", "--timeout", "--retries", "--proxy", "--trusted-host"),
    *("--progress-bar", "--root-user-action", "--python", "--cert", "--client-cert"),
    *("-C", "--config-settings", "--config-setting", "--global-option", "--build-option"),
    *("-d", "--dest", "-b", "--build", "--use-feature", "--use-deprecated", "--exists-action"),
    *("--keyring-provider", "--group", "--resume-retries"),
)
_UPGRADE = re.compile(r"-[a-zA-Z]*[UI][a-zA-Z]*|--upgrade|--force-reinstall|--ignore-installed")
"""Options of one letter may stand together: -qU."""


def read_calls(content: bytes) -> list[list[str]]:
    """The calls that `pip_shim` has written down, each as its arguments. A line that is none is
    left out: programs in the box can write to that file."""
    calls = []
    for line in content.decode("utf-8", "replace").splitlines()[:MAX_CALLS]:
        try:
            call = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(call, list) and call and all(isinstance(word, str) for word in call):
            calls.append(call)
    return calls


def requirements_after(installed: Sequence[str], calls: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The requirements that are installed after these calls of pip, one after another.

    A package that is asked for again replaces the earlier requirement, unless the version that
    this names fulfils both, as pip would keep it then; an uninstalled one is dropped.
    """
    found = list(installed)
    for call in calls:
        command, words, sources, upgrade = _parsed(call)
        if command == "uninstall":
            gone = {_name(word) for word in words}
            found = [text for text in found if _name(text) not in gone]
        elif command == "install":
            here = ALWAYS_HERE + WITH_THEM * any(_name(word) in ALWAYS_HERE for word in words)
            words = [word for word in words if _name(word) not in here]
            words = [word for word in words if upgrade or not _fulfilled(word, found)]
            names = {_name(word) for word in words}
            found = [text for text in found if _name(text) not in names]
            found += [*sources, *words]
    return tuple(dict.fromkeys(found))


def _parsed(call: Sequence[str]) -> tuple[str, list[str], list[str], bool]:
    """The command, its words, its options that name another source with their values, and whether
    it upgrades. Other options are left out."""
    words, sources, upgrade = [], [], False
    rest = iter(call)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _SOURCES:
            value = value if equals else next(rest, "")
            sources.append(f"{_SOURCES[name]} {value}".strip())
        elif word[:2] in _SOURCES:
            sources.append(f"{_SOURCES[word[:2]]} {word[2:]}")
        elif word in _VALUES:
            next(rest, None)
        elif word.startswith("-"):
            if word == "--dry-run":
                return "", [], [], False
            upgrade = upgrade or bool(_UPGRADE.fullmatch(word))
        elif word:
            words.append(word)
    return words[0] if words else "", words[1:], sources, upgrade


def _name(text: str) -> str:
    """The package's name; a text that is no requirement is its own."""
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return text


def _fulfilled(text: str, installed: Sequence[str]) -> bool:
    """Whether an exact pin among the installed requirements fulfils this one too."""
    try:
        wanted = Requirement(text)
        for other in map(Requirement, (t for t in installed if _name(t) == _name(text))):
            pins = [s.version for s in other.specifier if s.operator == "=="]
            inside = wanted.extras <= other.extras and not wanted.url
            if pins and inside and wanted.specifier.contains(pins[0], prereleases=True):
                return True
    except (InvalidRequirement, InvalidVersion):
        pass
    return False
