"""External files, each declared once: its digest, its licence, its mirrors in order."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError

MAX_NAME = 200
"""Bytes of a file's name. File systems take 255, and unfinished files have longer names."""

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
    """Check one declaration {file, sha256, bytes, licence, mirrors}. Raises UserError."""

    def check(holds: bool, what: str) -> None:
        if not holds:
            raise UserError(f"wrong declaration of an external file: {what}", where=where)

    keys = {"file", "sha256", "bytes", "licence", "mirrors"}
    check(isinstance(value, dict) and set(value) == keys, f"needs exactly {sorted(keys)}")
    name, sha256, size = value["file"], value["sha256"], value["bytes"]
    plain = isinstance(name, str) and Path(name).name == name and name not in ("", "..")
    check(plain, f"file {name!r} is no plain name")
    short = len(name.encode("utf-8", "replace")) <= MAX_NAME
    check(short, f"file {name[:40]!r}...: its name has more than {MAX_NAME} bytes")
    # Snakemake takes braces for a wildcard.
    allowed = name.isprintable() and not set("{}") & set(name)
    check(allowed, f"file {name!r}: its name holds a brace or a control character")
    check(re.fullmatch("[0-9a-f]{64}", str(sha256)) is not None, f"sha256 {sha256!r} of {name}")
    check(type(size) is int and size > 0, f"bytes {size!r} of {name}")
    check(isinstance(value["licence"], str) and value["licence"] != "", f"licence of {name}")
    check(isinstance(value["mirrors"], list) and value["mirrors"] != [], f"no mirror of {name}")
    for mirror in value["mirrors"]:
        known = isinstance(mirror, dict) and mirror.get("kind") in list(_KEYS)
        check(known, f"mirror of {name}: kind must be one of {sorted(_KEYS)}")
        check(set(mirror) == {"kind"} | _KEYS[mirror["kind"]], f"keys of mirror {mirror}")
        parts = mirror.get("parts", [mirror])
        check(isinstance(parts, list) and parts != [], f"no parts in a mirror of {name}")
        for part in parts:
            texts = isinstance(part, dict) and all(isinstance(v, str) for v in part.values())
            check(texts, f"of {name}: {part} is no mapping of names to texts in quotes")
            fits = part is mirror or _PART <= set(part) <= _PART | _MEMBER
            check(fits, f"a registry part has project, version and perhaps member, not {part}")
    return Resource(name, sha256, size, value["licence"], tuple(value["mirrors"]))
