"""External files, each declared once: its digest, its licence, its mirrors in order."""

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
_PART, _MEMBER = {"project", "version"}, {"member"}


@dataclass(frozen=True)
class Resource:
    """A checked declaration. `file` is a plain file name, `size` is in bytes, `licence` is SPDX."""

    file: str
    sha256: str
    size: int
    licence: str
    mirrors: tuple[dict[str, Any], ...]


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
