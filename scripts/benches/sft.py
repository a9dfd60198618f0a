"""A training as the pipeline does it, against TRL's trainer on the same rows."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from aiev.core.errors import UserError
from aiev.core.files import write_jsonl
from aiev.core.log import log
from aiev.resources.declare import SHAPE
from aiev.training.chat import template_file
from aiev.training.examples import Examples
from aiev.training.settings import TrainingSettings
from aiev.training.supervisor import train
from benches import report
from benches.training import LENGTHS, STUDENT

ROWS = 8
"""Of LENGTHS: one optimiser step of both, and TRL's default micro batch."""

STEPS = 4
"""The first one is not timed."""


def training() -> None:
    """Tokens a second, padding not counted, of optimiser steps with the defaults of this project,
    against those of TRL's SFTTrainer with its own. Weights are random: they cost as much."""
    try:
        import trl
    except ImportError as error:
        hint = ".venv/bin/pip install --no-deps trl, which needs nothing that is not here"
        raise UserError("TRL is not installed", where="benchmark training", hint=hint) from error
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _write_student(work / "student")
        _write_rows(work / "tagged.jsonl")
        value = _ours(work)
        rows = Examples(work / "scratch/examples")
        peer = _theirs(trl, work, [rows[number] for number in range(ROWS)])
    report("training", value, "tokens/s", "TRL's SFTTrainer, its defaults", peer, value / peer)


def _ours(work: Path) -> float:
    params = TrainingSettings(
        epochs=STEPS, global_batch=ROWS, threads=os.cpu_count() or 1
    ).model_dump()
    with _times_of_steps() as times:
        done = train(
            student=work / "student",
            data=work / "tagged.jsonl",
            deepspeed=Path(params["deepspeed"]),
            model=work / "model",
            scratch=work / "scratch",
            params=params,
        )
    return _rate(times, done["tokens"])


@contextmanager
def _times_of_steps() -> Iterator[list[float]]:
    """When each step of a training ended: it logs a line then."""
    times: list[float] = []

    class Clock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("step "):
                times.append(time.monotonic())

    clock, level = Clock(), log.level
    log.addHandler(clock)
    log.setLevel(logging.INFO)
    try:
        yield times
    finally:
        log.removeHandler(clock)
        log.setLevel(level)


def _theirs(trl: Any, work: Path, rows: list[dict[str, Any]]) -> float:
    from datasets import Dataset
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            times.append(time.monotonic())

    # Not its defaults: where it writes, on what it computes, and how long.
    settings = trl.SFTConfig(
        output_dir=str(work / "trl"), use_cpu=True, max_steps=STEPS, save_strategy="no"
    )
    trainer = trl.SFTTrainer(
        str(work / "student"),
        args=settings,
        train_dataset=Dataset.from_list(
            [{name: each.tolist() for name, each in row.items()} for row in rows]
        ),
        callbacks=[Clock()],
    )
    trainer.train()
    return _rate(times, sum(len(row["labels"]) for row in rows))


def _rate(times: list[float], tokens: int) -> float:
    """Tokens a second after the first step. tokens: of each step."""
    return (len(times) - 1) * tokens / (times[-1] - times[0])


def _write_student(folder: Path) -> None:
    """A student of the laptop's shape, with random weights and a token for each byte."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = template_file("chatml").read_text("utf-8")
    tokenizer.save_pretrained(folder)
    declared = yaml.safe_load(Path("config/resources.yaml").read_text("utf-8"))
    config = AutoConfig.for_model(**declared[STUDENT][SHAPE])
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)


def _write_rows(path: Path) -> None:
    """Dialogues of about as many tokens as those of the laptop run."""
    rows = []
    for number, length in enumerate(LENGTHS[:ROWS]):
        messages = [
            {"role": "user", "content": f"Print {number}."},
            {"role": "assistant", "content": "x" * (length - 40)},
        ]
        rows.append({"id": str(number), "tagged": False, "failed": [], "messages": messages})
    write_jsonl(path, rows)
