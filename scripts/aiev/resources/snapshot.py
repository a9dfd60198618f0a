"""Fetches a declared model from a hub, at a pinned commit, and checks every byte of it.

Downloads go through huggingface_hub, which knows tokens and gated models and resumes a file that
was cut. A file is checked against its declared digest; where none is declared, against what the hub
says of it at that commit (SHA-256 of large files, Git's blob id of small ones). The directory that
AUTOCODER_MIRROR names may hold the files as OWNER/NAME/; they need declared digests then.
"""

import fnmatch
import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.log import Progress, log
from aiev.resources.declare import Snapshot
from aiev.resources.download import CHUNK
from aiev.resources.fetch import MIRROR


@dataclass(frozen=True)
class _File:
    """What is known of a file before it is fetched; "" for a digest that is not."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


def fetch_snapshot(snapshot: Snapshot, wanted: Iterable[str], target: Path, work: Path) -> None:
    """Put the declared model's files into the new directory `target`.

    wanted: patterns of the files that are fetched where the declaration lists none. work: what is
    being downloaded; it stays where a download fails, for the next call to go on with.
    Raises UserError for a commit or file that the hub does not have, and for wrong bytes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    local = Path(os.environ.get(MIRROR) or os.devnull, snapshot.repo)
    if local.is_dir():
        files = _declared(snapshot)
        if not files:
            message = f"files of {snapshot.repo} in {MIRROR} cannot be checked"
            hint = "list `files` with sha256 and bytes in the model's declaration"
            raise UserError(message, where=str(local), hint=hint)
        for file in files:
            _check(_present(local, file), file)
            shutil.copyfile(local / file.name, work / file.name)
    else:
        files = _listed(snapshot, tuple(wanted))
        _download(snapshot, files, work)
    target.mkdir()
    for file in files:
        shutil.move(work / file.name, target / file.name)
    shutil.rmtree(work)
    if not snapshot.files:
        log.info("%s is pinned by its commit alone; digests are in %s", snapshot.repo, target)


def _declared(snapshot: Snapshot) -> list[_File]:
    return [_File(name, size, sha256) for name, (sha256, size) in sorted(snapshot.files.items())]


def _present(folder: Path, file: _File) -> Path:
    if not (folder / file.name).is_file():
        raise UserError(
            f"{file.name} is missing", where=str(folder), hint="copy all declared files there"
        )
    return folder / file.name


def _listed(snapshot: Snapshot, wanted: tuple[str, ...]) -> list[_File]:
    """The files to fetch: those declared, or those of the hub's list that inference reads."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    with _hub(snapshot):
        found = api.model_info(snapshot.repo, revision=snapshot.revision, files_metadata=True)
    there = {each.rfilename: each for each in found.siblings or ()}
    absent = sorted(set(snapshot.files) - set(there))
    if absent:
        raise UserError(
            f"{snapshot.repo} has no {', '.join(absent)} at {snapshot.revision}",
            where=snapshot.repo,
            hint="correct `files` in the model's declaration",
        )
    if snapshot.files:
        return _declared(snapshot)
    files = [
        _File(name, each.size or 0, each.lfs.sha256 if each.lfs else "", each.blob_id or "")
        for name, each in sorted(there.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)
    ]
    if not any(file.name.endswith(".safetensors") for file in files):
        raise UserError(
            f"{snapshot.repo} has no safetensors at {snapshot.revision}",
            where=snapshot.repo,
            hint="pickles are never loaded: take a commit with safetensors, or convert the model "
            "yourself and name its directory in models.student.checkpoint",
        )
    return files


def _download(snapshot: Snapshot, files: list[_File], work: Path) -> None:
    """Fetch the files into `work`; a file with wrong bytes is removed, and the next call fetches it
    again."""
    from huggingface_hub import hf_hub_download

    endpoint = os.environ.get("HF_ENDPOINT") or None
    with Progress(f"fetch {snapshot.repo}", len(files), unit="file") as progress:
        for file in files:
            with _hub(snapshot):
                path = hf_hub_download(
                    snapshot.repo,
                    file.name,
                    revision=snapshot.revision,
                    local_dir=work,
                    endpoint=endpoint,
                )
            try:
                _check(Path(path), file)
            except UserError:
                Path(path).unlink()
                raise
            progress.step()


def _check(path: Path, file: _File) -> None:
    """Raise UserError where the bytes are not those of `file`."""
    size = path.stat().st_size
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    # Git's blob id is of small files: of a large one it is that of a pointer.
    with open(path, "rb") as source:
        while chunk := source.read(CHUNK):
            sha256.update(chunk)
            if not file.sha256:
                blob.update(chunk)
    expected, found = file.sha256 or file.blob, (sha256 if file.sha256 else blob).hexdigest()
    if size != file.size or found != expected:
        raise UserError(
            f"{file.name} has {size} bytes and digest {found}; {file.size} and {expected} are "
            + ("declared" if not file.blob else "the hub's at this commit"),
            where=str(path),
            hint="run again to fetch it once more; if this stays, the file has changed since",
        )


@contextmanager
def _hub(snapshot: Snapshot):
    """Turn what huggingface_hub raises into a UserError that says what to do."""
    from huggingface_hub import errors

    where = f"{snapshot.repo} at {snapshot.revision}"
    try:
        yield
    except errors.GatedRepoError as error:
        hint = "accept its licence on its page, and set HF_TOKEN"
        message = "the hub gives this model to known users only"
        raise UserError(message, where=where, hint=hint) from error
    except errors.RepositoryNotFoundError as error:
        hint = "correct `hub` in its declaration; a private one needs HF_TOKEN"
        raise UserError("the hub has no such model", where=where, hint=hint) from error
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        hint = "correct `revision` and `files` in its declaration"
        raise UserError(f"the hub does not have this: {error}", where=where, hint=hint) from error
    except (errors.HTTPError, OSError) as error:
        hint = "check the network, then run again: what was fetched stays"
        raise UserError(f"the hub does not answer: {error}", where=where, hint=hint) from error
