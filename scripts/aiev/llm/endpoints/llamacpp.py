"""A llama.cpp server for one GGUF file, or for a checkpoint, which is converted first."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from aiev.core.errors import EndpointError
from aiev.core.log import log
from aiev.core.process import die_with_parent
from aiev.llm.endpoints.local import LocalEndpoint

OUTTYPE = "f16"
"""Number format of a converted checkpoint, with the greedy answers of `generate` in transformers.
8 bits change most of them, bfloat16 some (docs/self-learning.md)."""


@dataclass
class LlamaCpp(LocalEndpoint):
    """The server of `llamacpp_server`, which says its address in a line of its own."""

    talks: ClassVar[bool] = True

    said: list[str] = field(default_factory=list)

    def identity(self) -> dict[str, str]:
        # A checkpoint's answers depend on what it is converted to.
        return super().identity() | ({"format": OUTTYPE} if self.weights.is_dir() else {})

    def command(self) -> list[str]:
        model = self.weights
        if model.is_dir():
            model = converted(model, self.digest, self.scratch)
        chosen = {
            "model": str(model),
            "name": self.model,
            "conversations": self.conversations,
            "context": self.settings["context_tokens"],
            "threads": self.settings["threads"],
            "gpu_layers": self.settings["gpu_layers"],
        }
        return [sys.executable, "-m", "aiev.llm.endpoints.llamacpp_server", json.dumps(chosen)]

    def address(self) -> str:
        return self.said[0] if self.said else ""

    def _wait(self) -> None:
        # The process and no more: a thread that held this endpoint would keep it from being freed.
        said, out = self.said, self.process.stdout
        threading.Thread(
            target=lambda: said.append(out.readline().decode().strip()), daemon=True
        ).start()
        super()._wait()


def converted(checkpoint: Path, digest: str, scratch: Path) -> Path:
    """GGUF file of a Hugging Face checkpoint, made by llama.cpp's own converter, once."""
    target = scratch / f"{digest}.gguf"
    if target.exists():
        return target
    beside = target.with_suffix(".part")
    command = [sys.executable, "-m", "convert_hf_to_gguf", str(checkpoint)]
    command += ["--outfile", str(beside), "--outtype", OUTTYPE]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=die_with_parent)
    if done.returncode or not beside.exists():
        log.info("%s", done.stderr[-2000:])
        beside.unlink(missing_ok=True)
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EndpointError(f"cannot convert the checkpoint to GGUF: {last}", where=str(checkpoint))
    os.replace(beside, target)
    return target
