"""A model server of our own: a child process on loopback, started at the first question that is not
on record and stopped with the job."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aiev.core.errors import EndpointError, UserError
from aiev.core.hashing import of_path
from aiev.core.log import log
from aiev.core.process_group import TERM_SECONDS, ProcessGroup
from aiev.llm.endpoints.base import Endpoint

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy of the environment knows a server on this machine."""


@dataclass
class LocalEndpoint(Endpoint, ABC):
    """A server on a free loopback port. A kind says how it is started.

    settings: the model's config and execution options.
    weights:  a file or a directory that the kind can serve, or convert into `scratch` first.
    """

    served_here: ClassVar[bool] = True
    # llama.cpp's own default of top_p is 0.95.
    api_defaults: ClassVar[Mapping[str, Any]] = {}
    start_seconds: ClassVar[float] = 180
    """A cold network disk may take minutes."""
    stop_seconds: ClassVar[float] = TERM_SECONDS
    """Time to end by itself; then the kernel ends it."""
    reads_stdout: ClassVar[bool] = False
    """Whether this process reads the server's stdout; otherwise it goes to the log."""
    hint: ClassVar[str] = "free a loopback port or some memory, check the model's file, run again"

    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Path = Path()
    scratch: Path = Path()
    group: ProcessGroup | None = None
    failure: EndpointError | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The server's command line. Raises EndpointError when there can be none."""

    @abstractmethod
    def address(self) -> str:
        """The server's URL; "" until it is known."""

    @property
    def process(self) -> subprocess.Popen | None:
        return self.group.leader if self.group else None

    def start(self) -> None:
        """Start the server unless it runs. Raises EndpointError when it does not come up: no free
        port, not enough memory, a file that is not a model."""
        if self.failure:
            # Without an address of its own, the client of a second question would ask the vendor.
            raise self.failure
        if self.group:
            return
        command = self.command()
        with open(self.log_path, "wb") as errors:
            self.group = ProcessGroup(
                command,
                stdout=subprocess.PIPE if self.reads_stdout else errors,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=environment(),
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
        """Until the server reports that it is healthy."""
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
        """End the server and all processes that it started, and wait until their memory is free.

        Raises EndpointError when some do not end: the next server would start beside them."""
        if self.group and not self.group.stop(self.stop_seconds):
            raise EndpointError(
                f"the model server {self.model} does not end, and its memory is not free",
                where=f"process group {self.group.leader.pid}; its log: {self.log_path}",
                hint="end its processes (a GPU driver that hangs may need a restart of the "
                "machine), then run again",
            )

    def state(self) -> str:
        code = self.process.poll() if self.process else None
        return "" if code is None else f"the model server ended with exit code {code}"


@contextmanager
def open_local(
    endpoint: type[LocalEndpoint],
    kind: str,
    config: Mapping[str, Any],
    weights: Path | None,
    scratch: Path,
    log_path: Path | None,
    conversations: int,
) -> Iterator[LocalEndpoint]:
    """An endpoint that serves `weights` here, stopped at the end of the block.

    Raises UserError without weights."""
    if weights is None:
        raise UserError(
            "a local model needs its weights",
            where=f"models: {config['name']}",
            hint="set models.ROLE.resource to a file that is declared in config/resources.yaml",
        )
    local = endpoint(
        kind=kind,
        model=config["name"],
        digest=of_path(weights),
        base_url=None,
        slots=config["slots"],
        conversations=conversations,
        log_path=log_path.with_suffix(".server.log") if log_path else Path(os.devnull),
        request=config.get("request") or {},
        settings=config,
        weights=weights,
        scratch=scratch,
    )
    try:
        yield local
    except BaseException:
        try:
            local.stop()
        except EndpointError as error:
            log.warning("%s", error)  # the first error says why the job ends
        raise
    local.stop()


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
    return lines[-1] if lines else "it printed nothing"
