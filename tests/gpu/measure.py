"""What the tests on GPUs measure. The CPU runs the same with a model of some kilobytes
(tests/real/test_gpu_measures.py), so that no typing error waits for a GPU."""

import json
import logging
import re
import statistics
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from small_models import write_model

from aiev.core.files import read_json, write_jsonl
from aiev.core.hashing import of_directory
from aiev.core.log import log
from aiev.training.chat import template_file
from aiev.training.checkpoints import prepare_student
from aiev.training.settings import TrainingSettings
from aiev.training.shape import Shape
from aiev.training.supervisor import train

ROOT = Path(__file__).parents[2]
HALF_BILLION = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "num_hidden_layers": 24,
    "vocab_size": 151936,
}
"""Qwen2.5-Coder-0.5B, from its config.json."""
PEAKS = {"A100": 312, "H100": 989, "H200": 989, "L40S": 362, "RTX 4090": 165, "A10": 125}
"""Dense bfloat16 operations of a GPU a second, in 10^12, from NVIDIA's data sheets."""
PARAMS = TrainingSettings().model_dump() | {
    "epochs": 1,
    "learning_rate": 1e-4,
    "warmup_ratio": 0.0,
    "scheduler": "constant",
    "micro_batch": 4,
    "global_batch": 8,
    "max_tokens": 2048,
    "precision": "bfloat16",
    "accelerator": "cuda",
}
WARM = 2
"""Steps that are left out of a speed: kernels are chosen and memory is taken in them."""

_STEP = re.compile(r"step \d+: loss \S+, (\d+) tokens/s")
_USED = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Trained:
    """One training. speeds: tokens a second of each step. peak: most bytes that one GPU held more
    than before; 0 without a GPU."""

    report: Mapping[str, Any]
    speeds: Sequence[float]
    peak: int
    digest: str

    @property
    def losses(self) -> list[float]:
        return [step["loss"] for step in self.report["steps"]]

    @property
    def speed(self) -> float:
        """Tokens a second of a usual step."""
        return statistics.median(self.speeds[WARM:] or self.speeds)


def write_student(folder: Path, sizes: Mapping[str, int]) -> Path:
    """A student of these sizes with random weights: they cost as much as trained ones."""
    source = write_model(folder / "hub", "qwen2", tied=True, sizes=sizes)
    prepare_student(source, folder / "student", "bfloat16", template_file("chatml"))
    return folder / "student"


def write_dialogues(path: Path, count: int, least: int, most: int) -> Path:
    """Tagged dialogues of `least` to `most` characters, of which a token takes one or two."""
    draw = Random(0)
    rows = []
    for number in range(count):
        text = "".join(draw.choices("abcdefghij =+()\n", k=draw.randint(least, most)))
        run = f"<API_RUN_START>```python\n{text}\n```<API_RUN_STOP>"
        answer = f"{run}<API_RES_START>{number}<API_RES_STOP> Done."
        said = [("user", f"Print {number}."), ("assistant", answer)]
        messages = [{"role": role, "content": content} for role, content in said]
        rows.append({"id": f"{number}", "tagged": True, "failed": [], "messages": messages})
    write_jsonl(path, rows)
    return path


def trained(student: Path, data: Path, folder: Path, zero: str = "zero2", **changes) -> Trained:
    """Train as a job does. changes: of `PARAMS`."""
    with _speeds() as speeds, peak_memory() as peak:
        report = train(
            student=student,
            data=data,
            deepspeed=ROOT / f"config/deepspeed/{zero}.json",
            model=folder / "model",
            scratch=folder / "scratch",
            params=PARAMS | changes,
        )
    return Trained(report, speeds, max(peak), of_directory(folder / "model"))


@contextmanager
def _speeds() -> Iterator[list[float]]:
    """The list of each step's tokens a second, as the training logs them."""
    found: list[float] = []

    class Steps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.extend(float(speed) for speed in _STEP.findall(record.getMessage()))

    handler, level = Steps(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield found
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextmanager
def peak_memory(seconds: float = 0.2) -> Iterator[list[int]]:
    """A list of the most bytes that each GPU held more than at the beginning; [0] without one."""
    before, most, ended = used_memory(), [0], threading.Event()

    def look() -> None:
        while not ended.wait(seconds):
            held = [now - then for now, then in zip(used_memory(), before, strict=True)]
            most[:] = map(max, zip(held, most * len(held), strict=False)) if held else [0]

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def used_memory() -> list[int]:
    """Bytes that are in use on each GPU; none without a GPU."""
    try:
        done = subprocess.run(_USED, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [int(line) * 2**20 for line in done.stdout.split()]


def peak_of(name: str) -> float | None:
    """Operations a second of a GPU by its name; None for one that is not in the table."""
    # H100 before A10, of which "A100" is no kind: the longest name that fits.
    fits = [known for known in PEAKS if re.search(rf"\b{known}\b", name)]
    return PEAKS[max(fits, key=len)] * 1e12 if fits else None


def operations_a_second(student: Path, training: Trained) -> float:
    """Of the model alone, as `aiev plan` counts them, at the training's usual speed."""
    shape = Shape.of(read_json(student / "config.json"))
    mean = training.report["tokens"] // training.report["examples"]
    return shape.operations(mean) * training.speed


class Figures:
    """Writes figures as JSON lines: name, value, unit, and what else is to be known."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, name: str, value: float, unit: str, **more: Any) -> None:
        line = json.dumps({"name": name, "value": round(value, 4), "unit": unit, **more})
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line)
