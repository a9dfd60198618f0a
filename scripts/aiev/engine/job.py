"""Runs a rule's main: its command line, log, errors and the action store."""

import argparse
import errno
import json
import os
import platform
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiev.core.errors import FILE_OR_DIRECTORY, UserError, hint_for
from aiev.core.hashing import of_json, of_path
from aiev.core.log import log, start_log
from aiev.core.process import follow_workflow, raise_on_terminate
from aiev.engine.action import Action, key_of
from aiev.engine.codehash import PINNED, code_digest, code_parts
from aiev.engine.environment import environment
from aiev.engine.run_lock import note_exit, only_writer
from aiev.engine.run_record import Record, check_unchanged, code_key, own_run
from aiev.engine.store import Store, move, open_store, remove

Narrow = Callable[[dict[str, list[Path]], dict[str, Any]], tuple[dict[str, list[Path]], dict]]
"""Inputs by name and parameters -> those that count."""

FIXABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, *FILE_OR_DIRECTORY)
"""Errors of the file system that the user can do something about."""

_PART = re.compile(r"\.{1,2}(.+?)(\.[0-9a-f]+\.part)+")
"""Half-written beside an output: named by the action of a job, by the process of `place` or
`write_bytes`, or by both where a job calls `write_bytes`."""


class Job:
    """What a main is given: inputs to read, outputs to write, parameters.

    inputs:  name -> files or directories, as named on the command line.
    params:  the config values that this job uses, and no others.
    execution: the config's section `execution`, which decides nothing about the outputs and so is
             not in the action's key.
    remarks: what else the job's record is to say, set by the main: which answers it used. They
             decide nothing either.
    unfinished: name -> where outputs are written until they are complete.
    """

    def __init__(self, action: Action, key: str, store: Store, arguments: argparse.Namespace):
        self.inputs = action.inputs
        self.params = dict(action.params)
        self.execution: dict[str, Any] = json.loads(arguments.execution)
        self.remarks: dict[str, Any] = {}
        self.environment = action.environment
        self.log_path: Path | None = arguments.log
        self._key, self._store = key, store
        self.unfinished = {
            name: [p.with_name(f".{p.name}.{key[:12]}.part") for p in paths]
            for name, paths in action.outputs.items()
        }

    def input(self, name: str) -> Path:
        (path,) = self.inputs[name]
        return path

    def weights(self) -> Path | None:
        """The model that the job serves; None for one behind a URL."""
        return self.input("weights") if self.inputs["weights"] else None

    def output(self, name: str) -> Path:
        """Path to write to; a file or, if the main makes one, a directory. Renamed afterwards."""
        (path,) = self.unfinished[name]
        return path

    def outputs(self, name: str) -> list[Path]:
        return self.unfinished[name]

    def mark(self, *about: Any) -> Path:
        """A file by which this machine's jobs tell later ones what they did here. It is in no
        artifact and in no key, and no other machine finds it."""
        return self._store.root / "here" / of_json([platform.node(), *about])

    def scratch(self) -> Path:
        """A directory that survives a crash and is removed once this job has succeeded."""
        return self._store.scratch(self._key)


def run_job(
    main: Callable[[Job], None],
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    stored: bool = True,
    narrow: Narrow | None = None,
) -> None:
    """Run a script's `main` from its command line, and exit with its status.

    Each input and output name is an option that takes one or more paths. `stored=False` is for a
    job that is cheaper to run than to keep. `narrow` is for one that finds in an input which of
    the others it needs: the inputs and parameters that it returns are all that count, and all that
    `main` is given.
    """
    arguments = _parse(sys.argv[1:], tuple(inputs), tuple(outputs))
    # --describe must not empty the log of the last run.
    start_log(None if arguments.describe else arguments.log)
    follow_workflow()
    raise_on_terminate()
    script = Path(sys.argv[0])
    try:
        action = _action(script, arguments, tuple(inputs), tuple(outputs), narrow)
        if arguments.describe:
            parts = {} if arguments.pinned else code_parts(script, arguments.modules)
            print(json.dumps({**_describe(action, stored), "parts": parts}))
        else:
            if run := own_run():
                _check_sources(run, action, arguments.modules)
            written = [path for paths in action.outputs.values() for path in paths]
            with only_writer(written):
                _sweep(written)
                _run(main, action, arguments, stored)
    except KeyboardInterrupt:
        log.error("%s: interrupted; run the same command again to go on", script.stem)
        sys.exit(130)
    except Exception as error:
        mistake = _mistake(error)
        if mistake:
            log.error("%s", f"{script.stem}: {mistake}")
            note_exit(mistake.exit_code)
            sys.exit(mistake.exit_code)
        # A defect of ours: the traceback goes to the log, the place of the log to the user.
        log.info("%s", traceback.format_exc())
        what = f"{type(error).__name__}: {error}"
        log.error("%s: unexpected: %s\n  where: %s", script.stem, what, arguments.log or "above")
        sys.exit(1)


def _action(
    script: Path,
    arguments: argparse.Namespace,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    narrow: Narrow | None,
) -> Action:
    pinned = arguments.pinned
    given, params = {n: getattr(arguments, n) for n in inputs}, json.loads(arguments.params)
    if narrow:
        given, params = narrow(given, params)
    return Action(
        rule=script.stem,
        code=PINNED if pinned else code_digest(script, arguments.modules),
        params=params,
        inputs=given,
        outputs={name: getattr(arguments, name) for name in outputs},
        environment="" if pinned else environment(),
    )


def _check_sources(run: Record, action: Action, modules: list[str]) -> None:
    """Raise UserError where the job's code, its environment or an input among the sources is no
    longer what the run began with: another of its jobs may have used what was there before."""
    names = [path.as_posix() for paths in action.inputs.values() for path in paths]
    check_unchanged(run.files, {name: of_path(Path(name)) for name in names if name in run.files})
    if action.code != PINNED:
        check_unchanged(run.code, {code_key(action.rule, modules): action.code})
        check_unchanged({"envs": run.environment}, {"envs": action.environment})


def _describe(action: Action, stored: bool) -> dict[str, Any]:
    """What `aiev why` compares with the records of how the outputs were made."""
    description = action.description()
    return {
        **description,
        "key": key_of(description),
        "input_paths": {n: [p.as_posix() for p in ps] for n, ps in action.inputs.items()},
        "stored": stored,
    }


def _mistake(error: Exception) -> UserError | None:
    """The error as one that the user can fix, also out of a group; None for a defect of ours."""
    if isinstance(error, ExceptionGroup):
        found = [_mistake(one) for one in error.exceptions]
        return found[0] if all(found) else None
    if isinstance(error, OSError) and error.errno in FIXABLE:
        hint = f"{hint_for(error)}, then run again; nothing finished is lost"
        return UserError(f"cannot write: {error.strerror}", where=error.filename, hint=hint)
    return error if isinstance(error, UserError) else None


def _parse(argv: list[str], inputs: tuple[str, ...], outputs: tuple[str, ...]):
    parser = argparse.ArgumentParser()
    for name in inputs:
        parser.add_argument(f"--{name}", nargs="*", type=Path, required=True)
    for name in outputs:
        parser.add_argument(f"--{name}", nargs="+", type=Path, required=True)
    parser.add_argument("--params", default="{}", help="config values, as JSON")
    parser.add_argument("--execution", default="{}", help="options that decide no output")
    parser.add_argument("--modules", nargs="*", default=[], help="loaded by a registry")
    parser.add_argument("--pinned", action="store_true", help="a declared digest fixes the outputs")
    parser.add_argument("--describe", action="store_true", help="print what decides the outputs")
    parser.add_argument("--log", type=Path, default=None)
    return parser.parse_args(argv)


def _run(main, action: Action, arguments: argparse.Namespace, stored: bool) -> None:
    """Restore the action's outputs from the store, or make them."""
    store = open_store()
    description = action.description()
    key = key_of(description)
    if stored and store.restore(key, action.outputs, note_for=action):
        log.info("restored from action %s", key)
        return
    job = Job(action, key, store, arguments)
    made = job.unfinished
    _clear(made)
    try:
        main(job)
        record = {**description, "remarks": job.remarks, "key": key}
        if stored:
            record = store.save(key, record, made)
            store.compare(record, action.outputs)
        else:
            record["outputs"] = {n: [of_path(p) for p in paths] for n, paths in made.items()}
        _put_in_place(store, action, record, made)
    finally:
        _clear(made)
    shutil.rmtree(store.root / "scratch" / key, ignore_errors=True)


def _put_in_place(
    store: Store, action: Action, record: dict[str, Any], made: dict[str, list[Path]]
) -> None:
    """Move what was made to its place. First comes the record, with no older output beside it: a
    job that is killed in between leaves no file that looks as if a person had changed it."""
    for paths in action.outputs.values():
        for path in paths:
            remove(path)
    store.note(record, action)
    for name, paths in action.outputs.items():
        for written, path in zip(made[name], paths, strict=True):
            move(written, path)


def _sweep(outputs: list[Path]) -> None:
    """Remove unfinished files that killed writers of these outputs left beside them. The caller is
    their only writer now: process numbers would mean nothing on other hosts."""
    for folder in {path.parent for path in outputs}:
        for beside in folder.glob(".*.part"):
            found = _PART.fullmatch(beside.name)
            if found and folder / found[1] in outputs:
                remove(beside)


def _clear(made: dict[str, list[Path]]) -> None:
    for paths in made.values():
        for path in paths:
            remove(path)
            os.makedirs(path.parent, exist_ok=True)
