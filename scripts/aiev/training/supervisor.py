"""Fine-tune a student on tagged dialogues, under DeepSpeed's launcher.

This side encodes the data, starts the launch, shows how it goes, and turns what it leaves into a
checkpoint for inference. The side that holds the model is `trainer`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, read_jsonl, write_json, write_jsonl
from aiev.core.log import Progress, log
from aiev.training import worker as trainer
from aiev.training.batch import accumulation
from aiev.training.checkpoints import scrub
from aiev.training.encoding import IGNORED, Encoded, add_tokens, encode_all
from aiev.training.launch import launch

LAST_LINES = 15
_PORT_TAKEN = "EADDRINUSE"


def train(
    student: Path,
    data: Path,
    deepspeed: Path,
    model: Path,
    scratch: Path,
    params: Mapping[str, Any],
    log_path: Path | None = None,
) -> dict[str, Any]:
    """Train `student` on the JSON Lines file `data`; write the checkpoint directory `model`.

    scratch: keeps checkpoints; a later call with the same directory goes on from the last one.
    params: the configuration's `training`.
    Returns the report: examples, tokens, what was dropped and why, loss by step.
    Raises UserError for data that leave nothing to learn from and for a run that failed.
    """
    tokenizer = _tokenizer(student)
    added = add_tokens(tokenizer)
    rows = read_jsonl(data)
    examples, dropped = encode_all(tokenizer, rows, params["max_tokens"])
    log.info("examples: %d of %d dialogues, dropped: %s", len(examples), len(rows), dropped or 0)
    if not examples:
        raise UserError(
            f"nothing to train on: {len(rows)} dialogues, dropped: {dropped or 'none'}",
            where=str(data),
            hint="raise training.max_tokens, or make more dialogues",
        )
    scratch = scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    spec = _specification(student, deepspeed, model, scratch, dict(params))
    # Some students have more rows in their embedding than their tokenizer has tokens.
    rows_before = read_json(student / "config.json").get("vocab_size", 0)
    spec |= {"vocabulary": max(len(tokenizer), rows_before)}
    spec |= {"padding": tokenizer.pad_token_id or 0}
    write_jsonl(Path(spec["examples"]), (vars(example) for example in examples))
    _launch(spec, scratch, log_path)
    tokenizer.save_pretrained(model)
    scrub(model, **_kept_config(student))
    counts = _counts(examples) | {"dialogues": len(rows), "dropped": dropped}
    return {**counts, **read_json(Path(spec["result"])), "added_tokens": added}


def _tokenizer(student: Path):
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(student, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot load the tokenizer: {error}", where=str(student)) from error


def _kept_config(student: Path) -> dict[str, Any]:
    config = read_json(student / "config.json")
    return {"dtype": _dtype(config), "use_cache": config.get("use_cache", True)}


def _dtype(config: Mapping[str, Any]) -> str:
    """A model is saved in the type that its student came in."""
    return config.get("dtype") or config.get("torch_dtype") or "float32"


def _counts(examples: list[Encoded]) -> dict[str, int]:
    return {
        "examples": len(examples),
        "tokens": sum(len(example.input_ids) for example in examples),
        "learnt_tokens": sum(label != IGNORED for example in examples for label in example.labels),
    }


def _specification(
    student: Path, deepspeed: Path, model: Path, scratch: Path, params: dict[str, Any]
) -> dict[str, Any]:
    """What the trainer is told, except for what the tokenizer decides."""
    checkpoints = scratch / "checkpoints"
    return {
        "params": params,
        "student": str(student.resolve()),
        "dtype": _dtype(read_json(student / "config.json")),
        "deepspeed": str(deepspeed.resolve()),
        "accumulation": accumulation(params),
        "examples": str(scratch / "examples.jsonl"),
        "checkpoints": str(checkpoints),
        "resume": _last_complete(checkpoints),
        "model": str(model.resolve()),
        "result": str(scratch / "result.json"),
    }


def _last_complete(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; half-written ones are removed."""
    found = {int(p.name.rpartition("-")[2]): p for p in checkpoints.glob("checkpoint-*")}
    for step in sorted(found, reverse=True):
        if (found[step] / trainer.COMPLETE).is_file():
            log.info("going on from the checkpoint of step %d", step)
            return str(found[step])
        log.info("checkpoint of step %d is incomplete: removed", step)
        shutil.rmtree(found[step])
    return None


def _launch(spec: dict[str, Any], scratch: Path, log_path: Path | None) -> None:
    """Run the launcher to its end. Raises UserError with the last lines of what it said."""
    path = scratch / "spec.json"
    write_json(path, spec)
    for _ in range(3):
        Path(spec["result"]).unlink(missing_ok=True)
        shutil.rmtree(spec["model"], ignore_errors=True)
        began, lines = _supervise(*launch(path, spec["params"]))
        # The launcher ends with 0 when a signal killed its child: only the result is proof.
        if Path(spec["result"]).is_file():
            return
        if not any(_PORT_TAKEN in line for line in lines):
            break
        log.info("the port was taken meanwhile: trying another one")
    kept = spec["params"]["checkpoint_steps"]
    again = "goes on from the last checkpoint, if there is one" if kept else "begins anew"
    what, hint = "training failed", f"see the log; run again, which {again}"
    if spec["resume"] and not began:
        what = f"training cannot go on from {Path(spec['resume']).name}"
        hint = f"remove {spec['checkpoints']} to train from the start"
    said = "\n    ".join(lines) or "it said nothing"
    raise UserError(f"{what}; the last lines:\n    {said}", where=str(log_path or path), hint=hint)


def _supervise(command: list[str], environment: dict[str, str]) -> tuple[bool, list[str]]:
    """Start the launch and follow it to its end; nothing of it outlives this process.

    Returns whether training began (so a checkpoint was loaded), and the last lines of its output.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    watch = _Watch()
    try:
        for raw in process.stdout:
            watch.line(raw.decode("utf-8", "replace").rstrip("\n"))
        process.wait()
    finally:
        watch.close()
        _kill_group(process.pid)
        process.wait()
        process.stdin.close()
        process.stdout.close()
    return watch.began, list(watch.last)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class _Watch:
    """Turns the launch's output into progress, log lines and the last words of a failure."""

    def __init__(self):
        self.began, self.last = False, deque(maxlen=LAST_LINES)
        self.progress: Progress | None = None
        self.clock, self.tokens = 0.0, 0

    def line(self, text: str) -> None:
        if not text.startswith(trainer.EVENT):
            log.info("| %s", text)
            if text.strip():
                self.last.append(text)
            return
        event = json.loads(text.removeprefix(trainer.EVENT))
        getattr(self, event.pop("event"))(**event)

    def begin(self, step: int, steps: int) -> None:
        self.began, self.clock = True, time.monotonic()
        self.progress = Progress("training", steps - step, "step").__enter__()

    def step(self, step: int, loss: float, tokens: int) -> None:
        now = time.monotonic()
        rate = (tokens - self.tokens) / max(now - self.clock, 1e-9)
        self.clock, self.tokens = now, tokens
        self.progress.step(f"loss {loss:.4f}, {rate:.0f} tokens/s")
        log.info("step %d: loss %.4f, %.0f tokens/s", step, loss, rate)

    def checkpoint(self, step: int) -> None:
        log.info("checkpoint of step %d is complete", step)

    def close(self) -> None:
        if self.progress:
            self.progress.__exit__(None, None, None)
            self.progress = None
