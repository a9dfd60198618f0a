"""`aiev curve`: from how many dialogues on a student runs code when it is asked to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout
from aiev.core.errors import UserError

SIZES = (0, 10, 30, 100, 300)
SizesOption = Annotated[
    str,
    typer.Option(
        "--sizes",
        help="Numbers of dialogues; 0 is the untrained student.",
        show_default=f"those of {','.join(map(str, SIZES))} that there are, and all",
        metavar="N,N,...",
    ),
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Tagged dialogues; may be given several times.",
        show_default="the run's data/tagged.jsonl",
        metavar="FILE",
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", help="Folder for students and figures.", metavar="DIR")
]


def curve(
    config: ConfigOption = DEFAULT_CONFIG,
    sizes: SizesOption = "",
    data: DataOption = None,
    out: OutOption = Path("curve"),
) -> None:
    """Train the run's student on ever more of its dialogues, and print the run rate of each as one
    JSON object a line.

    A smaller number is part of every larger one. Training is as `training` says, each time from the
    untrained student, which has to be prepared; prompts are as many as `evaluation.run_rate` says,
    or 40. The same command goes on after a stop. What the folder holds already is not done again,
    unless something has changed that decides it.

    \b
      aiev curve --sizes 10,30
      aiev curve --data results/one/data/tagged.jsonl --data results/two/data/tagged.jsonl
    """
    check_checkout(config)
    from aiev.config.load import read_config

    read = read_config(config)
    rows = _rows(data or [Path("results") / read["name"] / "data/tagged.jsonl"])
    numbers = _sizes(sizes, len(rows))
    trains, measures = _training_decided_by(read), _measure_decided_by(read)
    for size in numbers:
        point = _point(read, rows[:size], out / str(size), trains, measures)
        print(json.dumps(point, sort_keys=True), flush=True)


def _rows(paths: list[Path]) -> list[dict[str, Any]]:
    """The dialogues of these files, each once, in an order that only their ids decide."""
    from aiev.core.files import check_file, read_jsonl
    from aiev.core.hashing import of_text

    found = {}
    for path in paths:
        check_file(path, "no tagged dialogues here", "make them with `aiev run`, or use --data")
        for number, row in enumerate(read_jsonl(path), 1):
            _check_row(row, f"{path}, row {number}")
            found[row["id"]] = row
    return sorted(found.values(), key=lambda row: of_text(f"curve:{row['id']}"))


def _check_row(row: Any, where: str) -> None:
    """Raise UserError unless this is a tagged dialogue, as training reads it."""
    keys = ("id", "failed", "messages")
    name, failed, messages = (row.get(key) if isinstance(row, dict) else None for key in keys)
    right = (
        isinstance(name, str),
        isinstance(failed, list) and all(type(number) is int for number in failed),
        isinstance(messages, list) and all(map(_is_message, messages)),
    )
    wrong = [key for key, is_right in zip(keys, right, strict=True) if not is_right]
    if wrong:
        raise UserError(
            f"not a tagged dialogue: {', '.join(wrong)} missing or of the wrong type",
            where=where,
            hint="name a run's data/tagged.jsonl; its verified.jsonl is not tagged yet",
        )


def _is_message(value: Any) -> bool:
    fields = value if isinstance(value, dict) else {}
    return all(isinstance(fields.get(key), str) for key in ("role", "content"))


def _sizes(text: str, most: int) -> list[int]:
    """The numbers of dialogues, sorted: those of the option, or by default those that there are."""
    if not text:
        return sorted({*(size for size in SIZES if size < most), most})
    try:
        sizes = sorted({int(word) for word in text.split(",")})
    except ValueError:
        sizes = [-1]
    if sizes[0] < 0 or sizes[-1] > most:
        raise UserError(
            f"{text!r}: numbers of dialogues are needed, from 0 to the {most} that there are",
            where="--sizes",
            hint="write --sizes 10,30, or give more files with --data",
        )
    return sizes


def _training_decided_by(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a trained student beside its dialogues: settings, files, code, environment."""
    from aiev.core.files import SCRIPTS
    from aiev.core.hashing import of_directory, of_file
    from aiev.engine.codehash import code_digest
    from aiev.engine.environment import environment

    return {
        "training": config["training"],
        "deepspeed": of_file(Path(config["training"]["deepspeed"])),
        "student": of_directory(_untrained(config["models"]["student"])),
        "code": code_digest(SCRIPTS / "train_model.py"),
        "environment": environment(),
    }


def _measure_decided_by(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run rate beside the weights: prompts, requests, code, environment."""
    from aiev.core.files import SCRIPTS
    from aiev.engine.codehash import code_digest
    from aiev.engine.environment import environment
    from aiev.evaluation.run_rate_prompts import PROBLEMS
    from aiev.llm.endpoints import KINDS

    settings, student = dict(config["evaluation"]["run_rate"]), config["models"]["student"]
    settings["prompts"] = settings["prompts"] or len(PROBLEMS)
    endpoint = KINDS.source(student["kind"])
    code = code_digest(SCRIPTS / "measure_run_rate.py", [endpoint])
    decided = {"run_rate": settings, "model": student, "code": code}
    return {**decided, "environment": environment()}


def _point(
    config: Mapping[str, Any],
    rows: list[dict[str, Any]],
    folder: Path,
    trains: Mapping[str, Any],
    measures: Mapping[str, Any],
) -> dict[str, Any]:
    """What a student trained on these dialogues does; from an earlier call, where all is as it was
    then. trains, measures: what decides its training, and what its measure."""
    from aiev.core.files import read_json, write_json
    from aiev.core.hashing import of_json
    from aiev.evaluation.run_rate import measure

    training = of_json({**trains, "rows": rows})
    key = of_json({"weights": training if rows else trains["student"], "measure": measures})
    done, student = folder / "run_rate.json", config["models"]["student"]
    found = read_json(done) if done.is_file() else {}
    if found.get("key") != key:
        folder.mkdir(parents=True, exist_ok=True)
        weights = _trained(config, rows, folder, training) if rows else _untrained(student)
        name = f"curve-{len(rows)}-{student['name']}"
        model, log = {**student, "name": name, "role": "student"}, folder / "run_rate.log"
        settings = measures["run_rate"]
        measured, _ = measure(model, weights, folder, log, config["execution"], settings)
        found = {"key": key, **measured}
        write_json(done, found)
    return {"dialogues": len(rows), "asked": found["asked"], "not_asked": found["not_asked"]}


def _untrained(student: Mapping[str, Any]) -> Path:
    folder = Path("resources/students") / student["name"]
    if not (folder / "config.json").is_file():
        hint = f"aiev run {folder}"
        raise UserError("the untrained student is not prepared", where=str(folder), hint=hint)
    return folder


def _trained(config: Mapping[str, Any], rows: list[dict[str, Any]], folder: Path, key: str) -> Path:
    """The student's checkpoint, trained on the dialogues, or the one that an earlier call with the
    same `key` left. A training that was stopped goes on only under its own key."""
    import shutil

    from aiev.core.files import read_json, write_json, write_jsonl
    from aiev.core.hashing import of_directory
    from aiev.training.supervisor import train

    data, model, report = (folder / name for name in ("tagged.jsonl", "model", "training.json"))
    known = read_json(report) if report.is_file() else {}
    if known.get("key") == key and known["digest"] == of_directory(model):
        return model
    write_jsonl(data, rows)
    found = train(
        student=_untrained(config["models"]["student"]),
        data=data,
        deepspeed=Path(config["training"]["deepspeed"]),
        model=model,
        scratch=folder / "scratch" / key,
        params=config["training"],
        checkpoint_steps=config["execution"]["training"]["checkpoint_steps"],
    )
    write_json(report, {**found, "key": key, "digest": of_directory(model)})
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    return model
