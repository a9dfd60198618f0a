"""Rebuild a finished run elsewhere, without a model, and compare it with its manifest.

In a scratch directory: the code as it is here, the pinned files and the ledger linked, an empty
action store, the manifest's config, and the ledger in replay mode, where nothing may be asked.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

from jsonschema import Draft202012Validator

from aiev.core.errors import UserError
from aiev.core.files import write_json
from aiev.core.hashing import of_path
from aiev.core.log import Progress
from aiev.core.process import die_with_parent
from aiev.engine.events import EVENTS, jobs_in, read_events
from aiev.engine.store import SHARED, STORE, Store
from aiev.provenance.diff import differences
from aiev.provenance.manifest import inputs_of, sources

CODE = ("Snakefile", "rules", "scripts", "config", "profiles", "envs")
TRAINING = "train_model"
MAX_LOG_LINES = 25  # that are shown of the log of a failed job
MAX_CHARACTERS = 200  # that are shown of a wrong value in a manifest
PATHS = (
    "do not trust it; in your own run, name seed sources, code and prompts as the checkout has them"
)
CHOICES = ("kind", "recipe", "language")
"""Keys of a config that may name a Python file of one's own; docs/extending.md lists them."""
WRITTEN = ("results", "logs", "benchmarks", "ledger", ".aiev", ".snakemake")
"""Where a run writes: a link from there would lead the rebuild out of its directory."""
_DIGEST = {"type": "string", "pattern": r"\A[0-9a-f]{64}\Z"}
_MADE = {
    "rule": {"type": "string"},
    "sha256": _DIGEST,
    "action": _DIGEST,
    "code": {"type": "string"},
    "params": {"type": "object"},
    "inputs": {"type": "object", "additionalProperties": _DIGEST},
}
_ENTRY = {"type": "object", "required": [*_MADE], "properties": _MADE}
_KEYS = {
    "run": {"type": "string"},
    "config": {"type": "object"},
    "environment": {"type": "string"},
    "artifacts": {"type": "object", "additionalProperties": _ENTRY},
}
SHAPE = {"type": "object", "required": [*_KEYS], "properties": _KEYS}


@dataclass
class Difference:
    """An artifact that is not as the manifest says. found: its digest here, "" where it was not
    made; action: that made it here; because: what of its making differs, a line each."""

    path: str
    made: dict[str, Any]
    found: str
    action: str
    because: list[str]

    def __str__(self) -> str:
        made = self.made
        lines = [
            f"{self.path} differs from the manifest",
            f"  sha256: {made['sha256']} there, {self.found or 'not made'} here",
            f"  action: {made['rule']} {made['action']} there, {self.action or 'none'} here",
        ]
        return "\n".join(lines + [f"  {line}" for line in self.because])


class Rebuild:
    """A run made again in the directory `place`, from `manifest`."""

    def __init__(self, place: Path, manifest: dict[str, Any]):
        self.place, self.config = place, manifest["config"]
        self.artifacts: dict[str, Any] = manifest["artifacts"]
        self.store = Store(place / ".aiev")
        self.said = place / "snakemake.log"
        self.events = place / "events.jsonl"

    def prepare(self, checkout: Path, ledger: Path) -> None:
        """Fill the directory. Code is copied; inputs that no rule makes, code and prompts of one's
        own, and answers are linked.

        ledger: a directory; may be `ledger` below the place itself.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        for name in CODE:
            source, target = checkout / name, self.place / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        for path in [*sources(self.artifacts), *own_files(self.config)]:
            source, target = checkout / path, self.place / path
            # A pinned file that is not here is fetched, and checked by its digest.
            if source.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source.resolve())
        if not (self.place / "ledger").exists():
            (self.place / "ledger").symlink_to(ledger.resolve())
        replay = {"path": "ledger", "mode": "replay"}
        write_json(self.place / "verify.json", {**self.config, "execution": {"ledger": replay}})

    def make(self, cores: int) -> int:
        """Let Snakemake make it all, and return its exit code; what it says goes to a file."""
        command = [Path(sys.executable).parent / "snakemake", "--configfile", "verify.json"]
        command += ["--cores", str(cores), "--nocolor"]
        # An empty store of its own: nothing that was made before may come back.
        kept = {k: v for k, v in os.environ.items() if k != SHARED}
        kept[EVENTS] = str(self.events.absolute())
        with open(self.said, "ab") as said:
            process = subprocess.Popen(
                command,
                cwd=self.place,
                env=kept,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=die_with_parent,
            )
            try:
                self._watch(process)
            finally:
                process.terminate()
                process.wait()
        return process.returncode

    def failures(self) -> list[str]:
        """What the jobs that failed said last; without one, what Snakemake said last."""
        lines = []
        for job in jobs_in(read_events(self.events), "job_error"):
            log = self.place / job.event["log"][0]
            lines += [f"{job.rule} failed:"]
            lines += (
                log.read_text("utf-8", "replace").splitlines()[-MAX_LOG_LINES:]
                if log.exists()
                else []
            )
        return lines or self.said.read_text("utf-8", "replace").splitlines()[-MAX_LOG_LINES:]

    def _watch(self, process: subprocess.Popen) -> None:
        with Progress("rebuilt", len(self.artifacts), "file") as progress:
            while True:
                ended = process.poll() is not None
                there = sum((self.place / path).exists() for path in self.artifacts)
                progress.step(count=there - progress.done)
                if ended:
                    return
                time.sleep(0.2)

    def take_checkpoints(self, checkout: Path) -> Difference | None:
        """Put what training made in `checkout` into the empty action store, if it is what the
        manifest says; else return what is not. The workflow then finds it there, not trained."""
        for path, made in self.artifacts.items():
            if made["rule"] != TRAINING:
                continue
            source = checkout / path
            found = of_path(source) if source.exists() else ""
            note = Store(checkout / STORE).made(Path(path))
            if found != made["sha256"] or not note or note["key"] != made["action"]:
                because = ["it was to be taken from this checkout, not trained (--no-training)"]
                return Difference(path, made, found, note["key"] if note else "", because)
            self._store(note, checkout)
        return None

    def _store(self, note: dict[str, Any], checkout: Path) -> None:
        """Keep a finished action, of whose outputs `note` describes one, as if it had run here."""
        if self.store.entry(note["key"]).exists():
            return
        places = {
            made["sha256"]: checkout / path
            for path, made in self.artifacts.items()
            if made["action"] == note["key"]
        }
        made = {name: [places[d] for d in digests] for name, digests in note["outputs"].items()}
        own = {k: v for k, v in note.items() if k not in ("input_paths", "sha256", "key")}
        self.store.save(note["key"], own, made)

    def compare(self) -> Iterator[Difference]:
        """Artifacts that differ, those first from which others are made."""
        for path in in_order(self.artifacts):
            made, place = self.artifacts[path], self.place / path
            found = of_path(place) if place.exists() else ""
            if found != made["sha256"]:
                note = self.store.made(Path(path))
                yield Difference(path, made, found, note["key"] if note else "", _why(made, note))

    def other_actions(self) -> list[str]:
        """Artifacts that another action made here: other code, or a parameter that differs."""
        notes = {path: self.store.made(Path(path)) for path in self.artifacts}
        expected = {path: made["action"] for path, made in self.artifacts.items()}
        return [path for path, note in notes.items() if note and note["key"] != expected[path]]


def in_order(artifacts: dict[str, Any]) -> list[str]:
    """Paths of the artifacts, each after all that it is made from."""
    needed = {path: sorted(artifacts[path]["inputs"]) for path in sorted(artifacts)}
    return [path for path in TopologicalSorter(needed).static_order() if path in artifacts]


def check_shape(manifest: Any, where: Path) -> None:
    """Raise UserError for what is no manifest, and for one whose paths lead elsewhere: it may be
    anybody's, and its inputs are linked by these names."""
    hint = "give the manifest.json of a finished run; `aiev run` writes it"
    for error in Draft202012Validator(SHAPE).iter_errors(manifest):
        place = " -> ".join(map(str, error.absolute_path)) or "the whole"
        what = f"not a manifest: {place}: {_short(error.message)}"
        raise UserError(what, where=str(where), hint=hint)
    artifacts = manifest["artifacts"]
    inputs = dict.fromkeys([*sources(artifacts), *own_files(manifest["config"])])
    for path in [*artifacts, *inputs]:
        if fault := _fault(path, path in inputs):
            what = f"{_short(path)}: a path in the manifest that {fault}"
            raise UserError(what, where=str(where), hint=PATHS)
    try:
        in_order(artifacts)
    except CycleError as error:
        what = f"not a manifest: made from each other: {_short(', '.join(error.args[1]))}"
        raise UserError(what, where=str(where), hint=hint) from None


def own_files(config: dict[str, Any]) -> list[str]:
    """What a config chooses by a path instead of a name: Python files, each with the folder
    prompts/ beside it, and directories of prompts. Names of prompt sets are among them."""
    found: list[str] = []
    rest: list[Any] = [config]
    while rest:
        section = rest.pop()
        if isinstance(section, list):
            rest += section
        elif isinstance(section, dict):
            rest += section.values()
            named = [section.get(key) for key in CHOICES]
            for name in (name for name in named if isinstance(name, str) and name.endswith(".py")):
                found += [name, str(PurePosixPath(name).with_name("prompts"))]
            if isinstance(section.get("prompts"), str):
                found.append(section["prompts"])
    return found


def _fault(path: str, linked: bool) -> str:
    """What is wrong with a path of the manifest, "" for nothing. linked: an input no rule makes."""
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute():
        return "is absolute, and names a place of one machine only"
    if not parts or ".." in parts:
        return "leads out of the checkout"
    if linked and (parts[0] in WRITTEN or parts == ("resources",)):
        return "is an input, and lies where the run itself writes"
    return ""


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _why(made: dict[str, Any], note: dict[str, Any] | None) -> list[str]:
    if note is None:
        return ["it was not made: its job failed, or a job before it"]
    # A manifest keeps no environment for each artifact.
    found = differences(made, {**note, "inputs": inputs_of(note)})
    same = "code, parameters and inputs are the same: the job is not deterministic, or the manifest"
    return found or [f"{same} was edited"]
