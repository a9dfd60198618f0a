"""A llama.cpp server for one GGUF file, or for a checkpoint, which is converted first."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

from aiev.core.errors import EndpointError
from aiev.core.process import die_with_parent
from aiev.llm.endpoints._local import LocalEndpoint, open_local
from aiev.llm.endpoints.base import Endpoint, NoOptions

OUTTYPE = "f16"
"""Number format of a converted checkpoint, with the greedy answers of `generate` in transformers.
8 bits change most of them, bfloat16 some (docs/self-learning.md)."""


@dataclass
class LlamaCpp(LocalEndpoint):
    """The server of `aiev.llm.llamacpp_server`, which prints its address first."""

    reads_stdout: ClassVar[bool] = True
    grammars: ClassVar[bool] = True
    goes_on: ClassVar[Mapping[str, Any] | None] = {}
    """It does so by itself."""

    printed: list[str] = field(default_factory=list)

    def identity(self) -> dict[str, str]:
        # A checkpoint's answers depend on what it is converted to.
        return super().identity() | ({"format": OUTTYPE} if self.weights.is_dir() else {})

    def command(self) -> list[str]:
        model = self.weights
        if model.is_dir():
            model = converted(model, self.digest, self.scratch, self.log_path)
        chosen = self.settings
        options = {
            "name": self.model,
            "conversations": self.conversations,
            "context": chosen["context_tokens"],
            "threads": chosen["threads"],
            "gpu-layers": chosen["gpu_layers"],
        }
        command = [sys.executable, "-m", "aiev.llm.llamacpp_server", str(model)]
        command += [f"--{name}={value}" for name, value in options.items()]
        # No key of the config: the interpreter serves a student so, nothing else does.
        return command + ["--special-tokens"] * chosen.get("special_tokens", False)

    def address(self) -> str:
        return self.printed[0] if self.printed else ""

    def _wait(self) -> None:
        drain_stdout(self.process.stdout, self.printed, self.log_path)
        super()._wait()


def drain_stdout(stdout: IO[bytes], first_line: list[str], log_path: Path) -> threading.Thread:
    """Put the first line into `first_line` and the rest into the log, to the end, in a thread.

    A pipe that nobody reads blocks the server once it holds 64 KiB. The thread keeps no reference
    to an endpoint, which could otherwise not be freed.
    """

    def read() -> None:
        with stdout:
            first_line.append(stdout.readline().decode("utf-8", "replace").strip())
            with open(log_path, "ab") as file:
                shutil.copyfileobj(stdout, file)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def converted(checkpoint: Path, digest: str, scratch: Path, log_path: Path) -> Path:
    """GGUF file of a Hugging Face checkpoint, made by llama.cpp's own converter, once.

    Raises EndpointError where the converter fails; its output is then in the log."""
    target = scratch / f"{digest}.gguf"
    if target.exists():
        return target
    beside = target.with_suffix(".part")
    command = [sys.executable, "-m", "convert_hf_to_gguf", str(checkpoint)]
    command += ["--outfile", str(beside), "--outtype", OUTTYPE]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=die_with_parent)
    if done.returncode or not beside.exists():
        log_path.write_text(done.stderr, "utf-8")
        beside.unlink(missing_ok=True)
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EndpointError(
            f"cannot convert the checkpoint to GGUF: {last}",
            where=str(checkpoint),
            hint=f"the converter's whole output is in {log_path}",
        )
    os.replace(beside, target)
    return target


class Kind:
    """Serves a GGUF file, or a checkpoint, by llama.cpp."""

    Config = NoOptions
    needs_weights = True

    def gpus(self, config: Mapping[str, Any]) -> int:
        return int(config["gpu_layers"] != 0)

    @contextmanager
    def open(
        self,
        config: Mapping[str, Any],
        weights: Path | None,
        scratch: Path,
        log: Path | None,
        conversations: int = 0,
    ) -> Iterator[Endpoint]:
        """Each conversation has a slot: llama.cpp would read one without it anew at each turn."""
        slots = max(conversations, config["slots"])
        with open_local(LlamaCpp, "llamacpp", config, weights, scratch, log, slots) as endpoint:
            yield endpoint
