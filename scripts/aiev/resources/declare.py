"""External files and models, each declared once: its digest, its licence, where it comes from."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError

MAX_NAME = 200
"""Bytes of a file's name. File systems take 255, and unfinished files have longer names."""

EXPLAINED = "the head of config/resources.yaml explains the keys"

SHAPE = "shape"
"""Key of a model's declaration: those fields of its config.json that say how large it is."""

_KEYS = {"hub": {"repo", "revision", "file"}, "url": {"url"}, "registry": {"parts"}}
_REPO = r"[\w.-]+/[\w.-]+"
_PART, _MEMBER = {"project", "version"}, {"member"}


@dataclass(frozen=True)
class Resource:
    """A checked declaration. `file` is a plain file name, `size` is in bytes, `licence` is SPDX."""

    file: str
    sha256: str
    size: int
    licence: str
    mirrors: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Snapshot:
    """A checked declaration of a hub's model. files: name -> (sha256, bytes); {} where the
    revision alone pins them."""

    repo: str
    revision: str
    licence: str
    files: dict[str, tuple[str, int]]


def is_snapshot(value: Any) -> bool:
    """Whether a declaration is of a model as a hub has it, several files, and not of one file."""
    return isinstance(value, dict) and "hub" in value


def declared_snapshot(value: dict[str, Any], where: str = "config/resources.yaml") -> Snapshot:
    """Check one declaration {hub, revision, licence} with or without {files, shape}.

    Raises UserError, for a branch or a tag in the place of a commit too.
    """

    def check(holds: bool, what: str, hint: str | None = None) -> None:
        if not holds:
            message = f"wrong declaration of a model of the hub: {what}"
            raise UserError(message, where=where, hint=hint or EXPLAINED)

    keys = {"hub", "revision", "licence"}
    fits = keys <= set(value) <= keys | {"files", SHAPE}
    check(fits, f"needs {sorted(keys)}, and may have files and {SHAPE}")
    repo, revision, files = value["hub"], value["revision"], value.get("files", {})
    check(isinstance(repo, str) and re.fullmatch(_REPO, repo) is not None, f"hub {repo!r}")
    check(
        isinstance(revision, str) and re.fullmatch("[0-9a-f]{40}", revision) is not None,
        f"revision {revision!r} is no commit",
        "a branch or a tag may move: give the 40 hex digits of the commit, from the hub's history",
    )
    check(isinstance(value["licence"], str) and value["licence"] != "", f"licence of {repo}")
    check(isinstance(value.get(SHAPE, {}), dict), f"{SHAPE} of {repo} is no mapping")
    check(isinstance(files, dict), f"files of {repo} is no mapping of names")
    for name, about in files.items():
        plain = isinstance(name, str) and Path(name).name == name and name[:1] not in ("", ".")
        check(plain, f"file {name!r} is no plain name")
        fits = isinstance(about, dict) and set(about) == {"sha256", "bytes"}
        check(fits, f"{name} needs sha256 and bytes")
        check(re.fullmatch("[0-9a-f]{64}", str(about["sha256"])) is not None, f"sha256 of {name}")
        check(type(about["bytes"]) is int and about["bytes"] > 0, f"bytes of {name}")
    pairs = {name: (about["sha256"], about["bytes"]) for name, about in files.items()}
    return Snapshot(repo, revision, value["licence"], pairs)


def check_declaration(value: Any, where: str) -> None:
    """Raise UserError for a wrong declaration of either kind."""
    if is_snapshot(value):
        declared_snapshot(value, where)
    else:
        declared(value, where)


def declared(value: Any, where: str = "config/resources.yaml") -> Resource:
    """Check one declaration {file, sha256, bytes, licence, mirrors}. Raises UserError.

    A model's may also have the key `shape`, which only `aiev plan` reads.
    """

    def check(holds: bool, what: str) -> None:
        if not holds:
            message = f"wrong declaration of an external file: {what}"
            raise UserError(message, where=where, hint=EXPLAINED)

    keys = {"file", "sha256", "bytes", "licence", "mirrors"}
    check(isinstance(value, dict), f"needs the keys {_listed(keys)}")
    fits = set(value) - {SHAPE} == keys
    check(fits, f"needs exactly the keys {_listed(keys)}; found {_listed(value)}")
    check(isinstance(value.get(SHAPE, {}), dict), f"{SHAPE} of {value['file']!r} is no mapping")
    name, sha256, size = value["file"], value["sha256"], value["bytes"]
    plain = isinstance(name, str) and Path(name).name == name and name not in ("", "..")
    check(plain, f"file {name!r} is no plain name")
    short = len(name.encode("utf-8", "replace")) <= MAX_NAME
    check(short, f"file {name[:40]!r}...: its name has more than {MAX_NAME} bytes")
    # Snakemake takes braces for a wildcard.
    allowed = name.isprintable() and not set("{}") & set(name)
    check(allowed, f"file {name!r}: its name holds a brace or a control character")
    digest = re.fullmatch("[0-9a-f]{64}", str(sha256)) is not None
    check(digest, f"sha256 of {name} is {sha256!r}, not 64 hexadecimal digits in lower case")
    whole = type(size) is int and size > 0
    check(whole, f"bytes of {name} is {size!r}, not a whole number above 0")
    licence = value["licence"]
    check(isinstance(licence, str) and licence != "", f"licence of {name} is missing or empty")
    mirrors = value["mirrors"]
    check(isinstance(mirrors, list) and mirrors != [], f"{name} has no list of mirrors")
    for mirror in mirrors:
        _check_mirror(mirror, name, check)
    return Resource(name, sha256, size, licence, tuple(mirrors))


def _check_mirror(mirror: Any, name: str, check: Callable[[bool, str], None]) -> None:
    known = isinstance(mirror, dict) and mirror.get("kind") in list(_KEYS)
    check(known, f"a mirror of {name} needs a kind, one of {_listed(_KEYS)}")
    keys = {"kind"} | _KEYS[mirror["kind"]]
    needs = f"a mirror of kind {mirror['kind']} needs exactly the keys {_listed(keys)}"
    check(set(mirror) == keys, f"{needs}; found {_listed(mirror)}")
    parts = mirror.get("parts", [mirror])
    check(isinstance(parts, list) and parts != [], f"a mirror of {name} has no list of parts")
    for part in parts:
        texts = isinstance(part, dict) and all(isinstance(v, str) for v in part.values())
        check(texts, f"of {name}: {part} is no mapping of names to texts in quotes")
        fits = part is mirror or _PART <= set(part) <= _PART | _MEMBER
        check(fits, f"a registry part has project, version and perhaps member, not {part}")


def _listed(keys: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, keys))) or "none"
