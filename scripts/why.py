"""Say how a file of the run was made, and why it would be made again."""

import argparse
import difflib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.core.hashing import of_path
from aiev.engine.events import Job, dry_run, jobs
from aiev.engine.store import STORE, open_store
from aiev.provenance.diff import differences
from aiev.provenance.manifest import inputs_of

SHOWN = 3
"""Keys of answers that are shown; the entry is `<ledger>/<two letters of the key>/<key>.json`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/config.yaml")
    parser.add_argument("file", type=Path, help="an output of some rule")
    arguments = parser.parse_args()
    # As rules name it: from here, without detours.
    file = Path(os.path.relpath(arguments.file))
    forced = _plan(file, arguments.config, "--printshellcmds", "--force")
    command = next((job.command for job in forced if str(file) in job.outputs()), None)
    if command is None:
        # Snakemake also takes the name of a rule, a log or a benchmark for a target.
        raise _not_made(file)
    print(file)
    note = open_store().made(file)
    print(*_how(file, note) if note else ["it was not made here yet"], sep="\n")
    now, problem = _described(command)
    print(*_would(note, now) if now else [f"its job cannot be looked at yet: {problem}"], sep="\n")
    print(*_workflow(_plan(file, arguments.config)), sep="\n")


def _plan(file: Path, config: str, *options: str) -> list[Job]:
    """Jobs of a dry run for `file`."""
    code, said = dry_run(config, *options, str(file))
    if code and "MissingRuleException" in said:
        raise _not_made(file)
    return jobs(code, said)


def _not_made(file: Path) -> UserError:
    known = [p.as_posix() for p in _noted()]
    close = ", ".join(difflib.get_close_matches(str(file), known, 3))
    return UserError(
        "no rule makes this file",
        where=str(file),
        hint=f"did you mean {close}?" if close else "name a file below results/ or resources/",
    )


def _noted() -> list[Path]:
    notes = STORE / "made"
    return [p.relative_to(notes).with_suffix("") for p in notes.rglob("*.json")]


def _described(command: str) -> tuple[dict[str, Any] | None, str]:
    """What decides the outputs of a job now, from the job itself; or why it cannot say."""
    done = subprocess.run([*shlex.split(command), "--describe"], capture_output=True, text=True)
    if done.returncode:
        return None, " ".join(done.stderr.split())
    found = json.loads(done.stdout)
    return {**found, "inputs": inputs_of(found), "parts": _parts(found["code"])}, ""


def _parts(code: str) -> dict[str, str] | None:
    try:
        return read_json(STORE / "code" / f"{code}.json")
    except UserError:
        return None


def _how(file: Path, note: Mapping[str, Any]) -> Iterator[str]:
    yield f"was made by {note['rule']}, action {note['key']}"
    yield f"  sha256 {note['sha256']}"
    yield from (f"  from {path} ({digest[:12]})" for path, digest in inputs_of(note).items())
    yield f"  by code {note['code'][:12]} in environment {note['environment'][:12] or 'any'}"
    yield from (f"  with the model {m['name']} ({m['kind']})" for m in _models(note["params"]))
    answers = note.get("remarks", {}).get("answers")
    if answers is not None:
        keys = ", ".join(key[:12] for key in answers[:SHOWN])
        more = f", ...; all in {open_store().place_of_note(file)}" if answers[SHOWN:] else ""
        yield f"  from {len(answers)} answers in the ledger: {keys or 'none'}{more}"
    if not file.exists():
        yield "it is not there"
    elif of_path(file) != note["sha256"]:
        yield "it was changed since: the next run puts that aside and makes it again"


def _models(params: Any) -> Iterator[dict[str, Any]]:
    if isinstance(params, dict):
        if {"name", "kind", "context_tokens"} <= set(params):
            yield params
        for value in params.values():
            yield from _models(value)


def _would(note: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[str]:
    """What would happen if its job ran now."""
    before = note and {**note, "inputs": inputs_of(note), "parts": _parts(note["code"])}
    changed = differences(before, now) if before else []
    if changed:
        yield "since then has changed:"
        yield from (f"  {line}" for line in changed)
    elif before:
        yield "nothing that decides it has changed since"
    if not now["stored"]:
        yield "its job is cheap, and runs whenever it is asked for"
    elif open_store().entry(now["key"]).exists():
        yield "the action is in the store: it would be restored"
    else:
        yield "the action is not in the store: it would run"


def _workflow(stale: list[Job]) -> Iterator[str]:
    if not stale:
        yield "the workflow regards it as up to date"
        return
    yield f"the workflow would start {len(stale)} jobs for it:"
    for job in stale:
        # Which parameters changed is said above, by name.
        reason = job.fields.get("reason", "").partition(": Union of")[0]
        yield f"  {job.rule} ({', '.join(job.outputs())}): {reason}"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"why: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
