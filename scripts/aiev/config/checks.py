"""Checks across sections: names that are declared, models, sizes, recorded dialogues, prices."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import check_file
from aiev.core.settings import did_you_mean
from aiev.evaluation.chosen_styles import check_styles
from aiev.llm.endpoints import needs_weights
from aiev.resources.declare import is_snapshot
from aiev.seeds.mine import check_source
from aiev.training.attention import check_attention
from aiev.training.chat import template_file
from aiev.training.checkpoints import check_checkpoint
from aiev.training.deepspeed_file import check_deepspeed


def check_run(config: dict[str, Any]) -> None:
    """Raise UserError for what contradicts itself, before anything is paid for.

    config: with all defaults, and with the declared files under `resources`.
    """
    _check_names(config)
    for role, model in config["models"].items():
        _check_model(role, model)
    _check_student(config["models"]["student"])
    for number, source in enumerate(config["seeds"]["sources"]):
        check_source(source, config["seeds"]["licences"], f"config: seeds.sources.{number}")
    _check_sizes(config)
    check_deepspeed(config["training"])
    check_attention(config["training"])
    check_styles(config["evaluation"])
    _check_recorded(config["rounds"]["recorded"])
    _check_prices(config)


def doubts(config: dict[str, Any]) -> Iterator[str]:
    """What a checked config may say and rarely means, a line each."""
    teacher = config["models"]["teacher"]
    address = config["execution"]["models"]["teacher"]["base_url"] or "https:"
    # A server on one's own network may well have loaded the file; one behind https rarely has.
    if teacher["resource"] and not needs_weights(teacher) and address.startswith("https:"):
        yield (
            f"models.teacher: {teacher['name']} is asked by its URL, and its answers are recorded "
            f"as those of the file {teacher['resource']}: unless the server has loaded that file, "
            "remove models.teacher.resource"
        )


def _named(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, name) of each declared file that the config names."""
    sections = {f"models.{role}": model for role, model in config["models"].items()}
    for number, source in enumerate(config["seeds"]["sources"]):
        sections[f"seeds.sources.{number}"] = source
    for name, benchmark in config["evaluation"]["benchmarks"].items():
        sections[f"evaluation.benchmarks.{name}"] = benchmark
    for key, section in sections.items():
        if section.get("resource"):
            yield f"{key}.resource", section["resource"]


def _check_names(config: dict[str, Any]) -> None:
    """Every file that the config names is declared in resources.yaml."""
    known = list(config["resources"])
    for key, name in _named(config):
        if name not in known:
            hint = did_you_mean(name, known, "declare it in config/resources.yaml")
            raise UserError(f"no resource is called {name!r}", where=f"config: {key}", hint=hint)
        if is_snapshot(config["resources"][name]) and key != "models.student.resource":
            raise UserError(
                f"{name} is a model of several files, and one file is needed",
                where=f"config: {key}",
                hint="only the student may be a model as the hub has it; serve such a teacher with "
                "vLLM, and name it with kind: openai",
            )


def _check_model(role: str, model: dict[str, Any]) -> None:
    key = f"config: models.{role}"
    if role == "student" and not re.fullmatch(r"\w[\w.-]*", model["name"], re.ASCII):
        raise UserError(
            f"{model['name']!r} cannot be part of a file name",
            where=f"{key}.name",
            hint="use letters, digits, dots, dashes and underscores",
        )
    if needs_weights(model) and not model["resource"] and not model.get("checkpoint"):
        raise UserError(
            f"a model of kind {model['kind']} needs weights",
            where=f"{key}.resource",
            hint="name a file that is declared in config/resources.yaml, or use kind openai",
        )
    if role == "teacher" and model["resource"] and model["version"]:
        raise UserError(
            "both a resource and a version are given: a teacher has a resource (served here) or a "
            "version (served elsewhere)",
            where=f"{key}.version",
            hint="remove the one that does not fit",
        )


def _check_student(model: dict[str, Any]) -> None:
    """The student has weights, in one place, and they and its chat template are there."""
    key = "config: models.student"
    if not model["resource"] and not model["checkpoint"]:
        raise UserError(
            "the student has no weights to train",
            where=f"{key}.resource",
            hint="name a file or model that is declared in config/resources.yaml",
        )
    if model["resource"] and model["checkpoint"]:
        raise UserError(
            "both a resource and a checkpoint are given, and a student comes from one of them",
            where=f"{key}.checkpoint",
            hint='set models.student.resource to ""',
        )
    if model["checkpoint"]:
        _check_directory(model["checkpoint"], f"{key}.checkpoint")
        check_checkpoint(Path(model["checkpoint"]))
    if model["chat_template"]:
        template_file(model["chat_template"])


def _check_directory(path: str, key: str) -> None:
    if not os.path.isdir(path):
        home = "; `~` is not expanded" if path.startswith("~") else ""
        hint = "name a directory as `save_pretrained` writes it, by its path from here or from /"
        raise UserError(f"no such directory{home}", where=f"{key}: {path}", hint=hint)


def _check_sizes(config: dict[str, Any]) -> None:
    rounds, seeds = config["rounds"], config["seeds"]
    if seeds["min_lines"] > seeds["max_lines"]:
        raise UserError(
            f"seeds.min_lines is {seeds['min_lines']}, more than seeds.max_lines "
            f"({seeds['max_lines']}): no function qualifies",
            where="config: seeds.min_lines",
            hint="lower seeds.min_lines or raise seeds.max_lines",
        )
    each, rest = divmod(rounds["dialogues"], seeds["per_shard"])
    if rest:
        raise UserError(
            f"a round of {rounds['dialogues']} dialogues is not a whole number of shards of "
            f"{seeds['per_shard']} seeds",
            where="config: rounds.dialogues",
            hint=f"set rounds.dialogues to a multiple of {seeds['per_shard']} (seeds.per_shard)",
        )
    needed = rounds["count"] * each
    if needed > seeds["shards"]:
        raise UserError(
            f"{rounds['count']} rounds of {each} shards need {needed} shards, and there are "
            f"{seeds['shards']}",
            where="config: seeds.shards",
            hint="lower rounds.count or rounds.dialogues, or raise seeds.shards; the latter "
            "distributes the seeds again, so that earlier rounds of this run get other seeds",
        )


def _check_recorded(path: str | None) -> None:
    """Recorded dialogues are there and are dialogues: one row in ten thousand that is not would
    stop the run only after the seeds were mined.

    Without the file, Snakemake would take the other rule that makes dialogues, and ask models.
    """
    if path is None:
        return
    where = f"config: rounds.recorded: {path}"
    try:
        hint = "name a JSON Lines file of dialogues, or set rounds.recorded to null"
        check_file(Path(path), "no such file", hint)
    except UserError as error:
        raise UserError(error.message, where=where, hint=error.hint) from None
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not _is_recorded(line):
                raise UserError(
                    "not a dialogue: a mapping with a seed that has an id is needed",
                    where=f"{where}, line {number}",
                    hint="name rounds/0/dialogues/*.jsonl of a run",
                )


def _is_recorded(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    seed = row.get("seed") if isinstance(row, dict) else None
    return isinstance(seed, dict) and isinstance(seed.get("id"), str)


def _check_prices(config: dict[str, Any]) -> None:
    """A budget in dollars cannot stop a model whose price is unknown."""
    execution = config["execution"]
    if execution["budget"]["usd"] is None:
        return
    student = config["models"]["student"]["name"]
    asked = {"teacher": [config["models"]["teacher"]["name"]]}
    asked["student"] = [f"base-{student}", f"student-{student}"]
    for role, names in asked.items():
        missing = [name for name in names if name not in execution["prices"]]
        if missing and not needs_weights(config["models"][role]):
            raise UserError(
                f"there is a budget in dollars and no price for {missing[0]!r}",
                where="config: execution.prices",
                hint="add it, in dollars per million tokens; 0 for a model that costs nothing",
            )
