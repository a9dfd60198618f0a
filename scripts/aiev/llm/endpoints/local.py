"""A model server of our own, in a child process on loopback, started at the first question that is
not on record and ended with the job."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aiev.core.errors import EndpointError
from aiev.core.log import log
from aiev.core.process import die_with_parent
from aiev.llm.endpoints.base import Endpoint

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment knows no server on this machine."""


@dataclass
class LocalEndpoint(Endpoint, ABC):
    """A server on a free loopback port, once it is started. A kind says how it is started.

    settings: one of the config's models; weights: a file or a directory that the kind can serve,
    or convert into `scratch` first.
    """

    start_seconds: ClassVar[float] = 180
    """A cold network disk may take minutes."""
    talks: ClassVar[bool] = False
    """Whether its output is read by us; else it goes to the log."""
    hint: ClassVar[str] = "free a loopback port or some memory, check the model's file, run again"

    settings: dict[str, Any] = field(default_factory=dict)
    weights: Path = Path()
    scratch: Path = Path()
    process: subprocess.Popen | None = None
    failure: EndpointError | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line. Raises EndpointError when there can be none."""

    @abstractmethod
    def address(self) -> str:
        """The server's URL; "" as long as it has not said it."""

    def start(self) -> None:
        """Serve the weights, unless they are. Raises EndpointError when the server does not come
        up: no free port, not enough memory, a file that is no model."""
        if self.failure:
            # Without an address of its own, the client of a second question would ask the vendor.
            raise self.failure
        if self.process:
            return
        command = self.command()
        with open(self.log_path, "wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE if self.talks else errors,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=environment(),
                preexec_fn=die_with_parent,
            )
        try:
            self._wait()
        except EndpointError as error:
            self.failure = error
            self.stop()
            raise
        self.base_url = f"{self.address()}/v1"
        log.info("serving %s (%s) on %d slots", self.model, self.digest[:12], self.slots)

    def _wait(self) -> None:
        """Until the server says that it is healthy."""
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.address() and _healthy(self.address()):
                return
            time.sleep(0.05)
        last = _last_line(self.log_path)
        what, where = f"the model server did not start: {last}", str(self.log_path)
        raise EndpointError(what, where=where, hint=self.hint)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()

    def state(self) -> str:
        code = self.process.poll() if self.process else None
        return "" if code is None else f"the model server ended with exit code {code}"


def environment() -> dict[str, str]:
    """This process's environment without keys; the library's place on the module path."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    kept["PYTHONPATH"] = str(Path(__file__).parents[3])
    return kept


def _healthy(url: str) -> bool:
    try:
        with DIRECT.open(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines() if path.is_file() else []
    return lines[-1] if lines else "it said nothing"
