"""Fine-tune a student on tagged dialogues, under DeepSpeed's launcher.

This side encodes the data, starts the processes, shows their progress, and turns their result into
a checkpoint for inference. `worker` is the side that holds the model.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiev.core.errors import UserError
from aiev.core.files import read_json, write_json
from aiev.core.log import Progress, log
from aiev.dataset.tokens import TOKENS
from aiev.training import worker
from aiev.training.batch import accumulation
from aiev.training.encoded_file import check_counts, encode_file, end_of_turn
from aiev.training.encoding import add_tokens
from aiev.training.finished import scrub
from aiev.training.launch import launch
from aiev.training.token_rows import description_ids

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
    test: Path | None = None,
    checkpoint_steps: int = 0,
) -> dict[str, Any]:
    """Train `student` on the JSON Lines file `data`; write the checkpoint directory `model`.

    scratch: holds checkpoints; a later call with the same directory resumes from the last one.
    params: the config's section `training`.
    test: tagged dialogues on which the loss is measured before, during and after.
    checkpoint_steps: steps between checkpoints; 0 for none. The model's bytes do not depend on it.
    Returns the report: examples, tokens, what was dropped and why, loss by step.
    Raises UserError for data of which nothing can be used, and for a run that failed.
    """
    tokenizer = _tokenizer(student)
    new = [token for token in TOKENS if token not in tokenizer.added_tokens_encoder]
    add_tokens(tokenizer)
    scratch = scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    spec = _specification(student, deepspeed, model, scratch, dict(params))
    # Some students have more rows in their embedding than their tokenizer has tokens.
    rows_before = read_json(student / "config.json").get("vocab_size", 0)
    spec |= {
        "checkpoint_steps": checkpoint_steps,
        "vocabulary": max(len(tokenizer), rows_before),
        "padding": tokenizer.pad_token_id or 0,
        "special_tokens": {token: tokenizer.convert_tokens_to_ids(token) for token in TOKENS},
        "new_rows": description_ids(tokenizer, new),
    }
    counts = encode_file(tokenizer, data, params, Path(spec["examples"]))
    check_counts(counts, data, params)
    end = {"eos_token_id": end_of_turn(tokenizer, counts.pop("ends"))}
    # With LoRA: those that a student may not know yet.
    spec["trained_rows"] = sorted({*spec["special_tokens"].values(), *end.values()})
    held_out = {"test": _held_out(tokenizer, test, spec)} if test else {}
    _launch(spec, scratch, log_path)
    tokenizer.save_pretrained(model)
    scrub(model, config=_restored_config(student) | end, generation=end)
    result = read_json(Path(spec["result"]))
    losses = result.pop("test_losses")
    for counts_of_test in held_out.values():
        counts_of_test["losses"] = losses
    return {**counts, **result, **held_out, "added_tokens": len(new)}


def _held_out(tokenizer, test: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Encode the test split for the worker; its counts."""
    folder = Path(spec["examples"]).with_name("test")
    counts = encode_file(tokenizer, test, spec["params"], folder)
    spec["test"] = str(folder) if counts["loss_tokens"] else None
    del counts["ends"]
    return counts


def _tokenizer(student: Path):
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(student, local_files_only=True)
    except (OSError, ValueError) as error:
        message = f"cannot load the tokenizer: {error}"
        hint = "models.student.resource has to be a checkpoint with its tokenizer"
        raise UserError(message, where=str(student), hint=hint) from error


def _restored_config(student: Path) -> dict[str, Any]:
    config = read_json(student / "config.json")
    return {"dtype": _dtype(config), "use_cache": config.get("use_cache", True)}


def _dtype(config: Mapping[str, Any]) -> str:
    """A model is saved in the type that its student came in."""
    return config.get("dtype") or config.get("torch_dtype") or "float32"


def _specification(
    student: Path, deepspeed: Path, model: Path, scratch: Path, params: dict[str, Any]
) -> dict[str, Any]:
    """The worker's specification, except for what the tokenizer decides."""
    checkpoints = scratch / "checkpoints"
    return {
        "params": params,
        "student": str(student.resolve()),
        "dtype": _dtype(read_json(student / "config.json")),
        "deepspeed": str(deepspeed.resolve()),
        "accumulation": accumulation(params),
        "examples": str(scratch / "examples"),
        "test": None,
        "checkpoints": str(checkpoints),
        "resume": last_complete(checkpoints),
        "model": str(model.resolve()),
        "result": str(scratch / "result.json"),
    }


def last_complete(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; half-written ones are removed.

    Other entries (`checkpoint-5-tmp`, a file) are none of this run's and stay where they are.
    """
    found = {}
    for path in checkpoints.glob("checkpoint-*"):
        if re.fullmatch(r"checkpoint-\d+", path.name) and path.is_dir():
            found[int(path.name.removeprefix("checkpoint-"))] = path
        else:
            log.warning("not a checkpoint of this run, ignored: %s", path)
    for step in sorted(found, reverse=True):
        if (found[step] / worker.COMPLETE).is_file():
            log.info("resuming from the checkpoint of step %d", step)
            return str(found[step])
        log.info("checkpoint of step %d is incomplete: removed", step)
        shutil.rmtree(found[step])
    return None


def _launch(spec: dict[str, Any], scratch: Path, log_path: Path | None) -> None:
    """Run the launcher to its end. Raises UserError with the last lines of its output."""
    path = scratch / "spec.json"
    write_json(path, spec)
    for _ in range(3):
        Path(spec["result"]).unlink(missing_ok=True)
        shutil.rmtree(spec["model"], ignore_errors=True)
        seen = _supervise(*launch(path, spec["params"]))
        # The launcher ends with 0 when a signal killed its child: only the result is proof.
        if Path(spec["result"]).is_file():
            return
        if seen.failure:
            raise seen.failure
        if not any(_PORT_TAKEN in line for line in seen.last):
            break
        log.info("the port was taken meanwhile: trying another one")
    again = "starts from the beginning"
    if spec["checkpoint_steps"]:
        again = "resumes from the last checkpoint, if there is one"
    message, hint = "training failed", f"see the log; run again, which {again}"
    if spec["resume"] and not seen.began:
        message = f"training cannot resume from {Path(spec['resume']).name}"
        hint = f"remove {spec['checkpoints']} to train from the start"
    last = "\n    ".join(seen.last) or "(no output)"
    where = str(log_path or path)
    raise UserError(f"{message}; the last lines:\n    {last}", where=where, hint=hint)


def _supervise(command: list[str], environment: dict[str, str]) -> "_Watch":
    """Start the launch and follow it to its end; nothing of it outlives this process."""
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
    return watch


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class _Watch:
    """Turns the launch's output into progress and log lines.

    began:   a worker has begun to train, so a checkpoint to resume from was loaded.
    last:    the last lines of output.
    failure: the error that a worker explained, if one did.
    """

    def __init__(self):
        self.began, self.last = False, deque(maxlen=LAST_LINES)
        self.failure: UserError | None = None
        self.progress: Progress | None = None
        self.clock, self.tokens = 0.0, 0

    def line(self, text: str) -> None:
        if not text.startswith(worker.EVENT):
            log.info("| %s", text)
            if text.strip():
                self.last.append(text)
            return
        event = json.loads(text.removeprefix(worker.EVENT))
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

    def test(self, step: int, loss: float) -> None:
        log.info("step %d: loss %.4f on the test split", step, loss)

    def error(self, message: str, where: str | None, hint: str | None) -> None:
        self.failure = self.failure or UserError(message, where=where, hint=hint)

    def checkpoint(self, step: int) -> None:
        log.info("checkpoint of step %d is complete", step)

    def close(self) -> None:
        if self.progress:
            self.progress.__exit__(None, None, None)
            self.progress = None
