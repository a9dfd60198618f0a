"""A vLLM server for a checkpoint directory, on the GPUs that the job sees.

vLLM brings its own CUDA build of torch, so that it is no part of envs/lock.txt: it may lie in an
environment of its own, as long as its command `vllm` is on the PATH.
"""

import shutil
import socket
from dataclasses import dataclass
from typing import ClassVar

from aiev.core.errors import EndpointError
from aiev.llm.endpoints.local import LocalEndpoint


@dataclass
class VLLM(LocalEndpoint):
    """`vllm serve`, asked under the model's name."""

    start_seconds: ClassVar[float] = 1800
    """33B weights are read and CUDA graphs captured first: minutes."""
    hint: ClassVar[str] = "see the log: GPU memory, tensor_parallel, or the checkpoint's directory"

    port: int = 0

    def command(self) -> list[str]:
        program = shutil.which("vllm")
        if program is None:
            raise EndpointError(
                "there is no vllm here",
                where=f"models: {self.model}, kind vllm",
                hint="install vllm (in an environment of its own) and put its command on the PATH, "
                "or use kind llamacpp, which needs no GPU",
            )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        return [
            *(program, "serve", str(self.weights), "--served-model-name", self.model),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--max-num-seqs", str(self.slots), "--seed", "0"),
            *("--max-model-len", str(self.settings["context_tokens"])),
            *("--tensor-parallel-size", str(self.settings["tensor_parallel"])),
            # A checkpoint's own defaults would take the place of what a request leaves out.
            *("--generation-config", "vllm"),
        ]

    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"
