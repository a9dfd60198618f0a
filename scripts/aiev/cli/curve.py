"""`aiev curve`: from how many dialogues on a student runs code when it is asked to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, check_checkout
from aiev.core.errors import UserError

SizesOption = Annotated[
    str,
    typer.Option(
        "--sizes", help="Numbers of dialogues; 0 is the untrained student.", metavar="N,N,..."
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
    sizes: SizesOption = "0,10,30,100,300",
    data: DataOption = None,
    out: OutOption = Path("curve"),
) -> None:
    """Train the run's student on ever more of its dialogues, and print the run rate of each as one
    JSON object a line.

    A smaller number is part of every larger one. Training is as `training` says, each time from the
    untrained student, which has to be prepared; prompts are as many as `evaluation.run_rate` says,
    or 40. The same command goes on after a stop.

    \b
      aiev curve --sizes 10,30
      aiev curve --data results/one/data/tagged.jsonl --data results/two/data/tagged.jsonl
    """
    check_checkout(config)
    from aiev.config.load import read_config

    read = read_config(config)
    rows = _rows(data or [Path("results") / read["name"] / "data/tagged.jsonl"])
    for size in _sizes(sizes, len(rows)):
        print(json.dumps(_point(read, rows[:size], out / str(size)), sort_keys=True), flush=True)


def _rows(paths: list[Path]) -> list[dict[str, Any]]:
    """The dialogues of these files, each once, in an order that only their ids decide."""
    from aiev.core.files import check_file, read_jsonl
    from aiev.core.hashing import of_text

    found = {}
    for path in paths:
        check_file(path, "no tagged dialogues here", "make them with `aiev run`, or use --data")
        found |= {row["id"]: row for row in read_jsonl(path)}
    return sorted(found.values(), key=lambda row: of_text(f"curve:{row['id']}"))


def _sizes(text: str, most: int) -> list[int]:
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


def _point(config: Mapping[str, Any], rows: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What a student trained on these dialogues does; from an earlier call, where all is as it was
    then."""
    from aiev.core.files import read_json, write_json
    from aiev.core.hashing import of_json
    from aiev.evaluation.run_rate import measure
    from aiev.evaluation.run_rate_prompts import PROBLEMS

    settings = dict(config["evaluation"]["run_rate"])
    settings["prompts"] = settings["prompts"] or len(PROBLEMS)
    student = config["models"]["student"]
    decides = {"rows": rows, "training": config["training"], "run_rate": settings}
    key = of_json({**decides, "student": student})
    done = folder / "run_rate.json"
    found = read_json(done) if done.is_file() else {}
    if found.get("key") != key:
        folder.mkdir(parents=True, exist_ok=True)
        weights = _trained(config, rows, folder) if rows else _untrained(student)
        name = f"curve-{len(rows)}-{student['name']}"
        model = {**student, "name": name, "role": "student"}
        measured, _ = measure(
            model, weights, folder, folder / "run_rate.log", config["execution"], settings
        )
        found = {"key": key, **measured}
        write_json(done, found)
    return {"dialogues": len(rows), "asked": found["asked"], "not_asked": found["not_asked"]}


def _untrained(student: Mapping[str, Any]) -> Path:
    folder = Path("resources/students") / student["name"]
    if not (folder / "config.json").is_file():
        hint = f"aiev run {folder}"
        raise UserError("the untrained student is not prepared", where=str(folder), hint=hint)
    return folder


def _trained(config: Mapping[str, Any], rows: list[dict[str, Any]], folder: Path) -> Path:
    """The student's checkpoint, trained on the dialogues."""
    import shutil

    from aiev.core.files import write_json, write_jsonl
    from aiev.training.supervisor import train

    data, model = folder / "tagged.jsonl", folder / "model"
    write_jsonl(data, rows)
    scratch = folder / "scratch"
    report = train(
        student=_untrained(config["models"]["student"]),
        data=data,
        deepspeed=Path(config["training"]["deepspeed"]),
        model=model,
        scratch=scratch,
        params=config["training"],
        checkpoint_steps=config["execution"]["training"]["checkpoint_steps"],
    )
    write_json(folder / "training.json", report)
    shutil.rmtree(scratch, ignore_errors=True)
    return model
