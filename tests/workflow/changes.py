"""What the staleness matrix changes in a finished run: one function a row, by the row's name."""

import ast
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from project import WHOLE, Project
from scripted import seed_source

CHANGES: dict[str, Callable[[Project], None]] = {}
SCRIPT, LIBRARY = "scripts/train_model.py", "scripts/aiev/core/files.py"
RESULTS = "results/tiny"


def change(name: str):
    """Enter a function under its row's name."""

    def enter(function):
        CHANGES[name] = function
        return function

    return enter


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first `old`, which must be there."""
    text = path.read_text("utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1), "utf-8")


def edits(name: str, path: str, old: str, new: str) -> None:
    CHANGES[name] = lambda project: edit(project.root / path, old, new)


def sets(name: str, keys: str, value: Any) -> None:
    """A row that sets one value of the config."""

    def set_value(project: Project) -> None:
        *parts, last = keys.split(".")
        place = project.config
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value

    CHANGES[name] = set_value


def loses(name: str, *paths: str) -> None:
    """A row that removes files and directories."""

    def remove(project: Project) -> None:
        for path in paths:
            place = project.root / path
            assert place.exists(), path
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    CHANGES[name] = remove


# Nothing that has a meaning.


@change("another absolute path")
def moved(project: Project) -> None:
    """Every row is run in a copy at another place: here that is all."""


@change("every file touched")
def touched(project: Project) -> None:
    """A second apart, the manifest first, so that all that it was made of is newer."""
    paths = [path for path in project.root.rglob("*") if ".snakemake" not in path.parts]
    paths.sort(key=lambda path: (path.name != "manifest.json", path.name, str(path)))
    start = int(time.time()) - len(paths)
    for number, path in enumerate(paths):
        os.utime(path, (start + number, start + number))


def rewritten(path: Path) -> None:
    """The same code without its comments, in the layout of `ast.unparse`."""
    before = path.read_text("utf-8")
    path.write_text(ast.unparse(ast.parse(before)) + "\n", "utf-8")
    assert path.read_text("utf-8") != before


def reworded(path: Path) -> None:
    """Other words in each docstring: of the module, of functions and of constants."""
    before = path.read_text("utf-8")
    after = re.sub(r'^( *)"""(?=\w)', r'\1"""In other words: ', before, flags=re.MULTILINE)
    assert after != before, path
    path.write_text(after, "utf-8")


def imports_reversed(path: Path) -> None:
    """The first run of neighbouring one-line imports, the other way round."""
    lines = path.read_text("utf-8").split("\n")
    starts = [n for n, line in enumerate(lines) if re.match(r"(from|import) \S.*[^(]$", line)]
    first = next(n for n in starts if n + 1 in starts)
    last = next(n for n in range(first, len(lines)) if n + 1 not in starts)
    lines[first : last + 1] = reversed(lines[first : last + 1])
    path.write_text("\n".join(lines), "utf-8")


for where, path in (("a script", SCRIPT), ("a module", LIBRARY)):
    edits(f"comment in {where}", path, "\ndef ", "\n# Why.\ndef ")
    CHANGES[f"docstring in {where}"] = lambda project, path=path: reworded(project.root / path)
    CHANGES[f"formatting of {where}"] = lambda project, path=path: rewritten(project.root / path)
    CHANGES[f"import order in {where}"] = lambda project, path=path: imports_reversed(
        project.root / path
    )
edits(
    "comment in a rule", "rules/data.smk", "rule gather_verified:", "# Why.\nrule gather_verified:"
)


@change("comment in the config")
def config_comment(project: Project) -> None:
    dump = project.dump
    project.dump = lambda config: "# Why.\n" + dump(config)


@change("order of the config's keys")
def config_order(project: Project) -> None:
    def turned(value):
        if not isinstance(value, dict):
            return value
        return {key: turned(value[key]) for key in reversed(value)}

    project.dump = lambda config: yaml.safe_dump(turned(config), sort_keys=False)


# Code.

edits(
    "edit in a module of one rule",
    "scripts/aiev/reporting/scores_page.py",
    "# Scores",
    "# All scores",
)
edits("edit in a module of all rules", LIBRARY, '"cannot read: ', '"can not read: ')
edits(
    "edit in a module of no rule", "scripts/aiev/llm/ledger_pack.py", "def ", "MORE = 1\n\n\ndef "
)
edits("edit in the job runner", "scripts/aiev/engine/job.py", "restored from", "taken from")
edits("edit in garbage collection", "scripts/aiev/engine/gc.py", "24 * 3600", "48 * 3600")
edits("edit in logging", "scripts/aiev/core/log.py", "no estimate yet", "not known yet")
edits("edit in locking", "scripts/aiev/core/locks.py", '"cannot lock: ', '"can not lock: ')
edits("edit in errors", "scripts/aiev/core/errors.py", "  where: ", "  place: ")
edits(
    "edit in an unused endpoint",
    "scripts/aiev/llm/endpoints/vllm.py",
    "class VLLM",
    "MORE = 1\n\n\nclass VLLM",
)
edits("edit in a script", "scripts/close_round.py", "def main", "LIMIT = 1\n\n\ndef main")
OPTIONS = ["--rounds {input:q}", "--verified {output:q}"]
edits("order in a shell string", "rules/data.smk", " ".join(OPTIONS), " ".join(OPTIONS[::-1]))
TWICE = "{input.tests:q}"
edits("meaning of a shell string", "rules/data.smk", TWICE, f"{TWICE} {TWICE}")
edits(
    "prompt template",
    "scripts/aiev/recipes/aiev_instruct/prompts/small/describe.md",
    "In one or two",
    "In two or three",
)
edits("DeepSpeed JSON", "config/deepspeed/zero2.json", '_gradients": true', '_gradients": false')
edits("environment lock", "envs/lock.txt", "\n", "\n# another package\n")


# Config.

sets("teacher temperature", "dialogues.sampling", {"programmer_temperature": 0.6})
sets("teacher model", "models.teacher.name", "scripted-2")
sets("learning rate", "training.learning_rate", 2e-3)
sets("LoRA", "training.lora", {"rank": 4})
sets("speed of the server", "execution.models.teacher.slots", 3)
sets("dialogues in flight", "execution.in_flight", 2)
sets("steps between checkpoints", "execution.training.checkpoint_steps", 1)
sets("gate's margin", "gate", {"margin": 0.1})
sets("duel's samples", "duel", {"samples": 1})
sets("teaching-only arm", "rounds.self_learning", False)
sets("least yield of a round", "rounds.minimum_yield", 0.1)
sets("one more round", "rounds.count", 2)
sets("shard count", "seeds.shards", 5)
sets("sandbox limits", "sandbox.limits", {"wall_seconds": 9})
sets("sandbox backend", "sandbox.backend", "another-box")
sets("benchmark subset", "evaluation.benchmarks.humaneval.subset", 3)
sets("prompt style", "evaluation.style", "evalplus")
sets("base in other prompt styles", "evaluation.base_styles", ["evalplus"])
sets(
    "config key that no rule uses", "execution.prices", {"scripted": {"prompt_usd_per_million": 1}}
)
sets("name of the run", "name", "other")


# Inputs.


def seeds(project: Project) -> Path:
    return project.root / "code/functions.py"


@change("one seed")
def one_seed(project: Project) -> None:
    before, name, after = seeds(project).read_text("utf-8").partition("def mended_dddd")
    seeds(project).write_text(before + name + after.replace("total += item", "total -= item", 1))


@change("seeds appended")
def appended(project: Project) -> None:
    """One, whose dialogue the split holds out for testing. Its name is long: those of the others
    must not repeat its problem, or they would be dropped."""
    seeds(project).write_text(seed_source(*WHOLE, "once_more_last_test"))


@change("comment between the seeds")
def seed_comment(project: Project) -> None:
    edit(seeds(project), "\n\n\ndef ", "\n\n\n# Why.\n\n\ndef ")


# What was made.

loses("an intermediate deleted", f"{RESULTS}/data/verified.jsonl")
loses("all results deleted", "results")
loses("the ledger lost", "ledger")
loses("the action store lost", ".aiev/actions")
loses("the package layers lost", ".aiev/layers")
loses("ledger and action store lost", "ledger", ".aiev/actions")
loses("results and ledger lost", "results", "ledger")
loses("results and action store lost", "results", ".aiev/actions")
loses("results, store, ledger lost", "results", ".aiev/actions", "ledger")
loses("Snakemake's metadata lost", ".snakemake")


@change("an intermediate tampered with")
def tampered(project: Project) -> None:
    edit(project.root / RESULTS / "rounds/0/train.jsonl", "Add the numbers", "Add two numbers")


@change("checkpoint's byte flipped")
def flipped(project: Project) -> None:
    path = project.root / RESULTS / "model/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@change("... and the action store lost")
def flipped_for_good(project: Project) -> None:
    flipped(project)
    shutil.rmtree(project.root / ".aiev/actions")


@change("... and other sandbox limits")
def layers_needed_again(project: Project) -> None:
    CHANGES["the package layers lost"](project)
    CHANGES["sandbox limits"](project)


@change("metadata lost, learning rate")
def metadata_and_rate(project: Project) -> None:
    CHANGES["Snakemake's metadata lost"](project)
    CHANGES["learning rate"](project)
