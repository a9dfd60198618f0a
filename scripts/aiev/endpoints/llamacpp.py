"""Start, watch and stop a llama.cpp server for one GGUF file or checkpoint."""

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
from dataclasses import dataclass
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
    process: subprocess.Popen | None = None

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
    """Serve `weights` on a free loopback port. Raises EndpointError when the server does not come
    up: no free port, not enough memory, a file that is no model."""
    digest, places = of_path(weights), max(conversations, settings["slots"])
    if weights.is_dir():
        weights = converted(weights, digest, scratch)
    server_log = log_path.with_suffix(".server.log") if log_path else Path(os.devnull)
    command = [
        *(sys.executable, "-m", "aiev.endpoints.llamacpp_server"),
        json.dumps(
            {
                "model": str(weights),
                "name": settings["name"],
                "conversations": places,
                "context": settings["context_tokens"],
                "threads": settings["threads"],
                "gpu_layers": settings["gpu_layers"],
            }
        ),
    ]
    with open(server_log, "wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            preexec_fn=die_with_parent,
        )
    try:
        url = _wait(process, server_log)
        log.info("serving %s (%s) on %d slots", settings["name"], digest[:12], settings["slots"])
        yield LocalEndpoint(
            kind="llamacpp",
            model=settings["name"],
            digest=digest,
            base_url=f"{url}/v1",
            slots=settings["slots"],
            conversations=places,
            process=process,
            log_path=server_log,
        )
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


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
