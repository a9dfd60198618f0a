"""Loads and checks the config, and hashes the code of each job.

It imports nothing heavy: a dry run works wherever Snakemake does.
"""

import contextlib
import io
import json
import os
import re
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from aiev.config.checks import doubts
from aiev.config.load import check_config, keys_of
from aiev.core.errors import UserError, hint_for
from aiev.core.hashing import of_directory, of_json
from aiev.engine import run_record
from aiev.engine.codehash import PINNED, Sources
from aiev.engine.directories import check_directories
from aiev.engine.environment import check_installed, environment
from aiev.engine.events import EVENTS, Reporter
from aiev.engine.run_lock import guard_directory, noted_exit, only_looks
from aiev.engine.tampering import (
    check_unrecorded,
    invalidate_mtimes,
    quarantine_changed,
)
from snakemake.cli import parse_args
from snakemake.logging import logger

SOURCES = Path(workflow.basedir)
SCRIPTS = SOURCES / "scripts"


@contextlib.contextmanager
def clear_errors():
    """End with a user's mistake as its own text, where Snakemake would add a traceback's lines."""
    try:
        yield
    except UserError as error:
        logger.error(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        hint = f"{hint_for(error)}, then run again"
        logger.error(str(UserError(f"cannot begin: {error}", hint=hint)))
        sys.exit(UserError.exit_code)


def makes_nothing():
    """Whether Snakemake was asked to make nothing: a dry run, a lint, a summary."""
    with contextlib.redirect_stderr(io.StringIO()):  # it names the profiles once more
        _, options = parse_args(sys.argv[1:])
    return only_looks(vars(options))


LOOKS = workflow.is_main_process and makes_nothing()
RUNS = workflow.is_main_process and not LOOKS

if workflow.is_main_process:
    # Jobs may run workflows of their own: those have other events.
    logger.addFilter(Reporter(logger, os.environ.pop(EVENTS, None)))

with clear_errors():
    # A job that waited in a queue goes on with the config that its run began with.
    BEGUN = None if workflow.is_main_process else run_record.own_run()
    if BEGUN:
        config.update(BEGUN.config)
        rules_now = {"rules": run_record.rules_digest(SOURCES)}
        run_record.check_unchanged({"rules": BEGUN.rules}, rules_now)
    else:
        # Snakemake takes the last of a key given twice, and mixes files and --config.
        FILES = [
            Path(min(str(path), os.path.relpath(path), key=len))
            for path in workflow.configfiles
        ]
        for file in FILES:
            keys_of(file)
        mixed = len(FILES) != 1 or workflow.config_settings.config
        check_config(config, SOURCES / "config", None if mixed else FILES[0])
    check_directories(config["name"], config["execution"]["ledger"]["path"])
    if RUNS:
        check_installed(SOURCES / "envs")
    guard_directory(workflow.is_main_process, LOOKS)
    if workflow.is_main_process:
        same_name = [] if mixed else run_record.other_config(config["name"], FILES[0])
        for doubt in [*doubts(config), *same_name]:
            logger.warning(doubt)
        quarantine_changed(config["name"], only_look=LOOKS)

OPTIONS = "--log {log} --params {params.settings:q} "
CODE = {}
COMMANDS = {}
TREE = Sources(SCRIPTS)


def main(script, *modules, execution=None, pinned=False):
    """Start of a job's command: the script in this very environment, its parameters and log.

    modules: what a registry loads for it by name; see Registry.source.
    execution: config values that say how a job is carried out. They are in the command only, where a
    change in them makes no job stale.
    pinned: a declared digest decides the outputs, whatever code makes them.
    """
    words = [sys.executable, str(SCRIPTS / f"{script}.py")]
    words += ["--modules", *modules] if modules else []
    words += ["--pinned"] if pinned else []
    words += ["--execution", as_json(execution)] if execution else []
    command = shlex.join(words).replace("{", "{{").replace("}", "}}") + " "
    COMMANDS[command] = PINNED if pinned else code(script, modules)
    return command + OPTIONS


def code(script, modules):
    """Digest of all project code that a script can run."""
    key = run_record.code_key(script, modules)
    if key not in CODE:
        known = BEGUN.code.get(key) if BEGUN else None
        path = SCRIPTS / f"{script}.py"
        with clear_errors():
            CODE[key] = known or (
                run_record.recorded_code(TREE, path, modules)
                if RUNS
                else TREE.digest(path, modules)
            )
    return CODE[key]


def begin():
    """Complete the rules' parameters, and write down what the run begins with.

    Snakemake looks neither at the code behind a command, nor at what the command does with files,
    nor at the environment. So all three become parameters.
    """
    around = environment(SOURCES / "envs")
    for each in workflow.rules:
        command, found, wiring = (each.shellcmd or "").partition(OPTIONS)
        if found:
            # The command's own start, which holds the path of this checkout, is left out.
            made_by = [wiring.split(), "" if COMMANDS[command] == PINNED else around]
            each.set_params(code=COMMANDS[command], made_by=of_json(made_by))
    with clear_errors():
        if workflow.is_main_process:
            check_unrecorded(config["name"], declared_files(), is_output, LOOKS)
        if RUNS:
            invalidate_mtimes(config["name"])
            begun = run_record.Record(
                run=os.environ[run_record.RUN],
                config=config,
                rules=run_record.rules_digest(SOURCES),
                environment=around,
                code=CODE,
                files=run_record.input_digests(SOURCES),
            )
            run_record.write_record(begun)
            if not mixed:
                run_record.note_config(config["name"], FILES[0])


def declared_files():
    """Digests of the pinned external files, by path."""
    names = config["resources"]
    return {
        resource_file(name): names[name]["sha256"]
        for name in names
        if name not in SNAPSHOTS
    }


def is_output(path):
    """Whether a rule makes the file; those that are fetched are known by their declaration."""
    makers = (each for each in workflow.rules if each.name != "fetch_resource")
    return any(each.is_producer(path) for each in makers)


onerror:
    # A mistake's own exit code, which says whether a budget (4) or a server (3) ended the run.
    sys.exit(noted_exit())
