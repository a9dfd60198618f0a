"""Start, watch and stop a llama.cpp server for one GGUF file or checkpoint.

It starts when the first question comes that is not on record.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiev.digests import of_path
from aiev.endpoints import Endpoint
from aiev.errors import EndpointError
from aiev.processes import die_with_parent
from aiev.progress import log

START_SECONDS = 180
"""Loading 0.5 GB takes 2 s here; a cold network disk may take minutes."""


@dataclass
class LocalEndpoint(Endpoint):
    """A server of our own on a free loopback port, once it is started.

    settings: one of the config's models; weights: a GGUF file or a checkpoint, which is converted
    into `scratch` first.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    weights: Path = Path()
    scratch: Path = Path()
    process: subprocess.Popen | None = None

    def start(self) -> None:
        """Serve the weights, unless they are. Raises EndpointError when the server does not come
        up: no free port, not enough memory, a file that is no model."""
        if self.process:
            return
        model = self.weights
        if model.is_dir():
            model = converted(model, self.digest, self.scratch)
        with open(self.log_path, "wb") as errors:
            self.process = subprocess.Popen(
                self._command(model),
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                preexec_fn=die_with_parent,
            )
        self.base_url = f"{_wait(self.process, self.log_path)}/v1"
        log.info("serving %s (%s) on %d slots", self.model, self.digest[:12], self.slots)

    def _command(self, model: Path) -> list[str]:
        chosen = {
            "model": str(model),
            "name": self.model,
            "conversations": self.conversations,
            "context": self.settings["context_tokens"],
            "threads": self.settings["threads"],
            "gpu_layers": self.settings["gpu_layers"],
        }
        return [sys.executable, "-m", "aiev.endpoints.llamacpp_server", json.dumps(chosen)]

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def state(self) -> str:
        code = self.process.poll() if self.process else None
        return "" if code is None else f"the model server ended with exit code {code}"


@contextmanager
def local(
    settings: dict[str, Any],
    weights: Path,
    scratch: Path,
    log_path: Path | None,
    conversations: int,
) -> Iterator[LocalEndpoint]:
    """An endpoint for `weights`, stopped with the block if it was started."""
    endpoint = LocalEndpoint(
        kind="llamacpp",
        model=settings["name"],
        digest=of_path(weights),
        base_url=None,
        slots=settings["slots"],
        conversations=max(conversations, settings["slots"]),
        log_path=log_path.with_suffix(".server.log") if log_path else Path(os.devnull),
        settings=settings,
        weights=weights,
        scratch=scratch,
    )
    try:
        yield endpoint
    finally:
        endpoint.stop()


def converted(checkpoint: Path, digest: str, scratch: Path) -> Path:
    """GGUF file (Q8_0) of a Hugging Face checkpoint, made by llama.cpp's own converter, once."""
    target = scratch / f"{digest}.gguf"
    if target.exists():
        return target
    beside = target.with_suffix(".part")
    command = [sys.executable, "-m", "convert_hf_to_gguf", str(checkpoint)]
    command += ["--outfile", str(beside), "--outtype", "q8_0"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=die_with_parent)
    if done.returncode or not beside.exists():
        log.info("%s", done.stderr[-2000:])
        beside.unlink(missing_ok=True)
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EndpointError(f"cannot convert the checkpoint to GGUF: {last}", where=str(checkpoint))
    os.replace(beside, target)
    return target


def _environment() -> dict[str, str]:
    """This process's environment without keys; the library's place on the module path."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    return kept


def _wait(process: subprocess.Popen, server_log: Path) -> str:
    """The server's URL, once it says that it is healthy."""
    lines: list[str] = []
    reader = threading.Thread(
        target=lambda: lines.append(process.stdout.readline().decode().strip()), daemon=True
    )
    reader.start()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None and not (lines and lines[0]):
            break
        if lines and lines[0] and _healthy(lines[0]):
            return lines[0]
        time.sleep(0.05)
    last = _last_line(server_log)
    raise EndpointError(
        f"the model server did not start: {last}",
        where=str(server_log),
        todo="free a loopback port or some memory, check the model's file, then run again",
    )


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines() if path.is_file() else []
    return lines[-1] if lines else "it said nothing"
