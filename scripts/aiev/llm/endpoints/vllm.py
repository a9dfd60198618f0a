"""A vLLM server for a checkpoint directory, on the GPUs that the job sees.

vLLM brings its own CUDA build of torch and so is not part of envs/lock.txt: it may be installed in
an environment of its own, as long as its command `vllm` is on the PATH.
"""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from aiev.core.errors import EndpointError
from aiev.core.log import log
from aiev.llm.endpoints._local import LocalEndpoint, environment, open_local
from aiev.llm.endpoints.base import Endpoint, NoOptions

OLDEST = (0, 19, 1)
"""The first version with transformers 5. With transformers 4, older ones do not know the class of
the tokenizer in a student that was trained here, and miss how its positions are scaled."""


@dataclass
class VLLM(LocalEndpoint):
    """`vllm serve`, asked under the model's name."""

    goes_on: ClassVar[Mapping[str, Any] | None] = {
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    start_seconds: ClassVar[float] = 1800
    """33B weights are read and CUDA graphs captured first: minutes."""
    stop_seconds: ClassVar[float] = 30
    """An engine for each replica ends its workers, one a GPU, before it ends itself."""
    hint: ClassVar[str] = (
        "see the log: GPU memory, tensor_parallel, data_parallel, or the checkpoint's directory"
    )

    port: int = 0

    def command(self) -> list[str]:
        program = find_program(self.model)
        # Slots are over all copies, vLLM's number is of each.
        sequences = -(-self.slots // self.settings["data_parallel"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        return [
            *(program, "serve", str(self.weights), "--served-model-name", self.model),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--max-num-seqs", str(sequences), "--seed", "0"),
            *("--max-model-len", str(self.settings["context_tokens"])),
            *("--tensor-parallel-size", str(self.settings["tensor_parallel"])),
            # Replicas behind the one address; vLLM itself shares the requests among them.
            *("--data-parallel-size", str(self.settings["data_parallel"])),
            # A question of a dialogue begins with all questions and answers before it.
            "--enable-prefix-caching",
            # The defaults in a checkpoint's generation_config.json would replace what a request
            # leaves out.
            *("--generation-config", "vllm"),
        ]

    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Kind:
    """Serves a checkpoint by vLLM. Prompts are cached by their content, so that conversations need
    no slots of their own."""

    Config = NoOptions
    needs_weights = True

    def gpus(self, config: Mapping[str, Any]) -> int:
        return config["tensor_parallel"] * config["data_parallel"]

    def check(self, config: Mapping[str, Any]) -> None:
        """Raise EndpointError where the command is missing or too old. No GPU is needed."""
        check_version(find_program(config["name"]), config["name"])

    @contextmanager
    def open(
        self,
        config: Mapping[str, Any],
        weights: Path | None,
        scratch: Path,
        log: Path | None,
        conversations: int = 0,
    ) -> Iterator[Endpoint]:
        with open_local(VLLM, "vllm", config, weights, scratch, log, 0) as endpoint:
            yield endpoint


def find_program(model: str) -> str:
    """Path of the command. Raises EndpointError where there is none."""
    program = shutil.which("vllm")
    if program is None:
        raise EndpointError(
            "the command vllm is not on the PATH",
            where=_where(model),
            hint="install vllm (in an environment of its own) and put its command on the PATH, "
            "or use kind llamacpp, which needs no GPU",
        )
    return program


def check_version(program: str, model: str) -> None:
    """Raise EndpointError for a version before OLDEST; warn where the command does not say it."""
    command = [program, "--version"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("vllm does not say its version: %s", error)
        return
    # Its log may be written around it.
    versions = re.findall(r"^(\d+)\.(\d+)(?:\.(\d+))?\S*$", done.stdout, re.MULTILINE)
    if not versions:
        log.warning("vllm does not say its version: exit code %d", done.returncode)
        return
    if tuple(int(part or 0) for part in versions[-1]) < OLDEST:
        oldest, found = (".".join(map(str, each)) for each in (OLDEST, filter(None, versions[-1])))
        raise EndpointError(
            f"vllm is of version {found}, which cannot serve a student that was trained here",
            where=f"{program}; {_where(model)}",
            hint=f"install vllm {oldest} or later, which brings transformers 5; "
            "execution.preflight: false skips this check",
        )


def _where(model: str) -> str:
    return f"models: {model}, kind vllm"
