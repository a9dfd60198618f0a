"""Explains how a file of a run was made, and why it would be made again."""

import difflib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.core.hashing import of_path
from aiev.engine.events import Job, dry_run
from aiev.engine.store import STORE, open_store
from aiev.provenance.diff import differences
from aiev.provenance.manifest import inputs_of

MAX_KEYS = 3  # of answers; `aiev ledger show KEY` prints one


def explain(file: Path, config: str) -> Iterator[str]:
    """Lines about `file`: its rule, inputs, code, model and answers; what has changed since; and
    the jobs that a run with `config` would start for it.

    Raises UserError for a file that no rule of that config makes.
    """
    # As rules name it: relative to here, and without "..".
    file = Path(os.path.relpath(file))
    forced = _plan(file, config, "--force")
    command = next((job.event["shellcmd"] for job in forced if str(file) in job.outputs()), None)
    if command is None:
        # Snakemake also takes the name of a rule, a log or a benchmark for a target.
        raise _not_made(file)
    yield str(file)
    record = open_store().made(file)
    yield from _how(file, record) if record else ["not made here yet"]
    now, problem = _describe(command)
    yield from _would(record, now) if now else [f"its job cannot be described yet: {problem}"]
    yield from _workflow(_plan(file, config))


def _plan(file: Path, config: str, *options: str) -> list[Job]:
    """Jobs of a dry run for `file`."""
    done = dry_run(config, *options, str(file))
    if done.failed_with("MissingRuleException"):
        raise _not_made(file)
    return done.jobs()


def _not_made(file: Path) -> UserError:
    known = [p.as_posix() for p in _made_here()]
    close = ", ".join(difflib.get_close_matches(str(file), known, 3))
    hint = f"did you mean {close}?" if close else "name a file below results/ or resources/"
    if file.as_posix() in known:
        hint = "it is another run's: name that run's config with --config FILE"
    return UserError("no rule of this run makes this file", where=str(file), hint=hint)


def _made_here() -> list[Path]:
    notes = STORE / "made"
    return [p.relative_to(notes).with_suffix("") for p in notes.rglob("*.json")]


def _describe(command: str) -> tuple[dict[str, Any] | None, str]:
    """What decides the outputs of a job now, from the job itself; or why it cannot say."""
    done = subprocess.run([*shlex.split(command), "--describe"], capture_output=True, text=True)
    if done.returncode:
        return None, " ".join(done.stderr.split())
    found = json.loads(done.stdout)
    return {**found, "inputs": inputs_of(found)}, ""


def _parts(code: str) -> dict[str, str] | None:
    try:
        return read_json(STORE / "code" / f"{code}.json")
    except UserError:
        return None


def _how(file: Path, record: Mapping[str, Any]) -> Iterator[str]:
    yield f"was made by {record['rule']}, action {record['key']}"
    yield f"  sha256 {record['sha256']}"
    yield from (f"  from {path} ({digest[:12]})" for path, digest in inputs_of(record).items())
    yield f"  by code {record['code'][:12]} in environment {record['environment'][:12] or 'any'}"
    yield from (f"  with the model {m['name']} ({m['kind']})" for m in _models(record["params"]))
    answers = record.get("remarks", {}).get("answers")
    if answers is not None:
        keys = ", ".join(key[:12] for key in answers[:MAX_KEYS])
        more = f", ...; all in {open_store().place_of_note(file)}" if answers[MAX_KEYS:] else ""
        yield f"  from {len(answers)} answers in the ledger: {keys or 'none'}{more}"
    if not file.exists():
        yield "it no longer exists"
    elif of_path(file) != record["sha256"]:
        yield "it was changed since: the next run moves it to .aiev/changed and makes it again"


def _models(params: Any) -> Iterator[dict[str, Any]]:
    if isinstance(params, dict):
        if {"name", "kind", "context_tokens"} <= set(params):
            yield params
        for value in params.values():
            yield from _models(value)


def _would(record: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[str]:
    """What would happen if its job ran now."""
    before = record and {**record, "inputs": inputs_of(record), "parts": _parts(record["code"])}
    changed = differences(before, now) if before else []
    if changed:
        yield "changed since then:"
        yield from (f"  {line}" for line in changed)
    elif before:
        yield "nothing that it depends on has changed since"
    if not now["stored"]:
        yield "its job is cheap, and runs each time"
    elif open_store().entry(now["key"]).exists():
        yield "its result is in the action store: it would be restored"
    else:
        yield "its result is not in the action store: its job would run"


def _workflow(stale: list[Job]) -> Iterator[str]:
    if not stale:
        yield "it is up to date: a run would do nothing for it"
        return
    yield f"a run would start {len(stale)} jobs for it:"
    for job in stale:
        # Which parameters changed is said above, by name.
        reason = job.event["reason"].partition(": Union of")[0]
        yield f"  {job.rule} ({', '.join(job.outputs())}): {reason}"
