"""What the planned trainings take: memory, accelerator hours, disk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiev.core.errors import UserError
from aiev.core.files import read_json
from aiev.reporting.rates import Rates
from aiev.resources.declare import SHAPE
from aiev.training.deepspeed_file import read_deepspeed
from aiev.training.memory import SHARD, Memory, bytes_of, memory_of, trained_parameters
from aiev.training.shape import Shape

if TYPE_CHECKING:
    from aiev.engine.events import Job

GIB = 2**30
NODE = 8
"""Accelerators of a node, at most; the config does not say."""

PROCESS = 2 * GIB
"""Memory of a process with PyTorch and CUDA, before it holds anything."""

RULE = "train_student"
"""The final model is the last round's student: its training is not counted twice."""


@dataclass(frozen=True)
class Training:
    """One round's training. tokens, operations, hours of all accelerators together and hours of the
    clock: expected and at most; None for what is not known."""

    round: int
    tokens: tuple[float | None, float]
    operations: tuple[float | None, float]
    accelerator_hours: tuple[float | None, float | None]
    hours: tuple[float | None, float | None]


@dataclass(frozen=True)
class Trainings:
    """All planned trainings of a run, which differ only in their data.

    trained: how many of the parameters; with LoRA those that are added.
    memory: on each accelerator. host_bytes: memory of a node with `processes` of the training's.
    model_bytes: of one saved model; largest_file: its largest one.
    work_bytes: of the checkpoints that a training may go on from, at most.
    disk_bytes: all models, in results/ and in the action store, and one training's checkpoints.
    too_much: bytes beyond the accelerator's memory; None where that is not known.
    """

    parameters: int
    trained: int
    memory: Memory
    host_bytes: int
    processes: int
    each: tuple[Training, ...]
    model_bytes: int
    largest_file: int
    work_bytes: int
    disk_bytes: int
    too_much: int | None

    def total(self, column: str) -> tuple[float | None, float | None]:
        """Expected and at most, of all trainings."""
        pairs = zip(*(getattr(one, column) for one in self.each), strict=True)
        return tuple(None if None in found else sum(found) for found in map(list, pairs))

    def as_json(self) -> dict[str, Any]:
        memory = {**asdict(self.memory), "total": self.memory.total}
        rest = asdict(self)
        return {**rest, "memory": memory, "each": [asdict(one) for one in self.each]}


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The student's shape, from its checkpoint or its declaration. Raises UserError."""
    student = config["models"]["student"]
    places = [Path("resources/students", student["name"])]
    places += [Path(student["checkpoint"])] if student["checkpoint"] else []
    for path in (place / "config.json" for place in places):
        if path.is_file():
            return Shape.of(read_json(path), str(path))
    found = config["resources"][student["resource"]].get(SHAPE)
    where = f"config/resources.yaml: {student['resource']}.{SHAPE}"
    if not found:
        hint = "copy model_type and the sizes from the model's config.json"
        raise UserError("the student's size is not declared", where=where, hint=hint)
    return Shape.of(found, where)


def trainings(config: Mapping[str, Any], jobs: Sequence["Job"], rates: Rates) -> Trainings | None:
    """The planned trainings; None where none is. Raises UserError for a student of unknown size."""
    rounds = sorted(int(job.wildcards()["round"]) for job in jobs if job.rule == RULE)
    if not rounds:
        return None
    shape, params = shape_of(config), config["training"]
    memory = memory_of(shape, params, read_deepspeed(params["deepspeed"]))
    saved = shape.parameters * bytes_of(config["models"]["student"]["dtype"])
    # Two are kept, and a third one is there while it is written: float32 weights and moments too.
    trained = trained_parameters(shape, params["lora"])
    work = 3 * trained * (12 + bytes_of(params["precision"]))
    work = work if config["execution"]["training"]["checkpoint_steps"] else 0
    room = config["execution"]["plan"]["accelerator_gib"]
    processes = min(params["accelerators"], NODE)
    # The final model too, which is a copy of the last round's.
    models = len(rounds) + 1
    return Trainings(
        parameters=shape.parameters,
        trained=trained,
        memory=memory,
        host_bytes=saved + processes * _process_bytes(trained, params, memory),
        processes=processes,
        each=tuple(_training(config, number, shape, rates) for number in rounds),
        model_bytes=saved,
        largest_file=min(saved, SHARD),
        work_bytes=work,
        disk_bytes=saved * (models + len(rounds)) + work,
        too_much=None if room is None else max(0, memory.total - int(room * GIB)),
    )


def _process_bytes(trained: int, params: Mapping[str, Any], memory: Memory) -> int:
    """Memory that one process takes on the host while a checkpoint is written: Python and PyTorch,
    and its part of the float32 weights on their way to the file; and what is offloaded."""
    return PROCESS + 4 * math.ceil(trained / params["accelerators"]) + memory.offloaded


def _training(config: Mapping[str, Any], number: int, shape: Shape, rates: Rates) -> Training:
    params, rounds = config["training"], config["rounds"]
    dialogues = (number + 1) * rounds["dialogues"]
    most = dialogues * params["max_tokens"] * params["epochs"]
    expected = None
    if rates.verified is not None and rates.tokens is not None:
        kept = dialogues * rates.verified * (1 - rounds["split"]["test_share"])
        expected = min(kept * rates.tokens * params["epochs"], most)
    tokens = expected, most
    # Attention over dialogues of their mean length, and of the longest.
    lengths = rates.tokens or 0, params["max_tokens"]
    adapter = trained_parameters(shape, params["lora"]) if params["lora"] else None
    operations = tuple(
        None if count is None else count * shape.operations(int(length), adapter)
        for count, length in zip(tokens, lengths, strict=True)
    )
    plan = config["execution"]["plan"]
    peak = plan["accelerator_tflops"]
    speed = None if peak is None else peak * 1e12 * plan["mfu"] * 3600
    hours = tuple(None if not speed or n is None else n / speed for n in operations)
    clock = tuple(None if each is None else each / params["accelerators"] for each in hours)
    return Training(number, tokens, operations, hours, clock)
