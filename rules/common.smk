"""Loads and checks the config, names the run's files, and hashes the code of each job.

It imports nothing heavy: a dry run works wherever Snakemake does.
"""

import json
import os
import re
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from aiev.engine.store import STORE
from aiev.engine.codehash import PINNED, code_digest, known_code
from aiev.config.load import check_config
from aiev.core.hashing import of_directory, of_file, of_json
from aiev.engine.environment import environment
from aiev.core.errors import UserError
from aiev.engine.run_lock import guard_directory, noted_exit, only_looks
from aiev.engine.tampering import distrust_times, restore_changed
from aiev.engine.snapshot import CONFIG, same_sources, take_snapshot
from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import infer_source_file

CHECKOUT = Path(workflow.basedir)
RUNS = workflow.is_main_process and not only_looks()


def start_jobs_from(snapshot):
    """Let every job start from the run's own copy of the workflow, wherever and whenever it starts.

    Snakemake hands to a job's own Snakemake the Snakefile that it read first, and its config files.
    """
    first = next(iter(workflow._included))
    workflow._included[first] = infer_source_file(str(snapshot / "Snakefile"))
    workflow.config_settings.configfiles[:] = [snapshot / CONFIG]


try:
    check_config(config, CHECKOUT / "config")
    guard_directory(workflow.is_main_process)
    if workflow.is_main_process:
        restore_changed(config["name"], only_look=only_looks())
    if RUNS:
        distrust_times(config["name"])
        given = {key: config[key] for key in config if key != "resources"}
        start_jobs_from(take_snapshot(CHECKOUT, given))
except UserError as error:
    raise WorkflowError(str(error)) from None
except OSError as error:
    hint = "free some space or mend its permissions, then run again"
    reason = UserError(f"cannot begin: {error}", hint=hint)
    raise WorkflowError(str(reason)) from None

# Of the copy from here on, in the run and in its jobs.
SOURCES = Path(workflow.basedir)
SCRIPTS = SOURCES / "scripts"

RUN = config["name"]
SHARDS = [f"{number:03d}" for number in range(config["seeds"]["shards"])]
ROUNDS = [str(number) for number in range(config["rounds"]["count"])]
DATA = [*(f"rounds/{number}/data" for number in ROUNDS), "data"]
BENCHMARKS = sorted(config["evaluation"]["benchmarks"])
MODELS = ["base", "student", "teacher"]
TEACHER = config["models"]["teacher"]
STUDENT = config["models"]["student"]
RESOURCES = config["resources"]
OPTIONS = "--log {log} --code {params.code} --params {params.settings:q} "


wildcard_constraints:
    run=re.escape(RUN),
    shard="|".join(SHARDS),
    round="|".join(ROUNDS),
    data="|".join(DATA),
    benchmark="|".join(map(re.escape, BENCHMARKS)),
    model="|".join(MODELS),
    resource="|".join(map(re.escape, RESOURCES)),


def shards_of(round_number):
    """Names of the shards that make up a round. A later round takes the shards after it, so that
    raising rounds.count moves no seed."""
    each = config["rounds"]["dialogues"] // config["seeds"]["per_shard"]
    return SHARDS[int(round_number) * each : (int(round_number) + 1) * each]


def rounds_of(w):
    """Rounds whose dialogues are in the wildcards' data: all, or those up to a round."""
    upto = w.data.removeprefix("rounds/").partition("/")[0]
    return ROUNDS if w.data == "data" else ROUNDS[: int(upto) + 1]


def before(round_number, *names):
    """Files of the round before; none for the first round."""
    number = int(round_number) - 1
    return [f"results/{RUN}/rounds/{number}/{name}" for name in names if number >= 0]


def untrained(round_number):
    """The checkpoint that a round's training starts from."""
    base = [f"resources/students/{STUDENT['name']}"]
    if config["rounds"]["train_from"] == "base":
        return base
    return before(round_number, "student") or base


def code(script):
    """Digest of a script and of all of the project that it imports; its parts go on record."""
    path = SCRIPTS / f"{script}.py"
    return code_digest(path) if only_looks() else known_code(path, STORE / "code")


def count_commands():
    """Let what a rule's command does with files, and the environment, count among its parameters.

    Snakemake looks at neither (`code` is no trigger of ours: it would rerun on a comment).
    """
    if RUNS:
        try:
            same_sources(CHECKOUT, SOURCES)
        except UserError as error:
            raise WorkflowError(str(error)) from None
    around = environment(SOURCES / "envs")
    for each in workflow.rules:
        if each.shellcmd:
            # How main() starts it, which holds the place of this checkout, is left out.
            wiring = each.shellcmd.partition(OPTIONS)[2].split()
            pinned = each.params.get("code") == PINNED
            each.set_params(made_by=of_json([wiring, "" if pinned else around]))


def main(script, aside=None):
    """Start of a job's command: the script in this very environment, its parameters and log.

    aside: config values that a job needs and that decide nothing about its outputs. They stand in
    the command alone, where a change in them makes no job stale.
    """
    words = shlex.quote(as_json(aside or {})).replace("{", "{{").replace("}", "}}")
    own = f"--aside {words} " if aside else ""
    path = (
        shlex.quote(str(SCRIPTS / f"{script}.py")).replace("{", "{{").replace("}", "}}")
    )
    return f"{shlex.quote(sys.executable)} {path} {own}{OPTIONS}"


def copied(**inputs):
    """For `main(aside=)`: digests of those inputs of a job that lie among the run's own sources.

    Others may be large, and are not read here."""
    places = {name: SOURCES / path for name, path in inputs.items()}
    own = {n: p for n, p in places.items() if p.is_relative_to(SOURCES) and p.is_file()}
    return {"copied": {name: of_file(place) for name, place in own.items()}}


def resource_file(name):
    """Path of a declared external file."""
    return f"resources/{name}/{RESOURCES[name]['file']}"


def weights_of(model):
    """Files that a job needs to serve `model`; none for a model behind a URL."""
    return [resource_file(model["resource"])] if model["resource"] else []


def seed_files(_):
    """Files of the seed sources, in their order; hub data sets have none."""
    return [
        (
            resource_file(source["resource"])
            if source["kind"] == "wheel"
            else source["path"]
        )
        for source in config["seeds"]["sources"]
        if source["kind"] != "hub"
    ]


def seed_directory_files(_):
    """Files in the seed sources that are directories: an edit of one leaves its directory's own
    time, which is all of it that Snakemake looks at."""
    return [
        path.as_posix()
        for source in config["seeds"]["sources"]
        if source["kind"] == "directory"
        for path in sorted(Path(source["path"]).rglob("*.py"))
        if path.is_file()
    ]


def benchmark(w):
    """The config of the wildcards' benchmark."""
    return config["evaluation"]["benchmarks"][w.benchmark]


onerror:
    # A mistake's own exit code, which says whether a budget (4) or a server (3) ended the run.
    sys.exit(noted_exit())
