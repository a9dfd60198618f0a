"""One warm container of the docker backend, and the protocol with the worker in it.

The standard streams are attached before the container starts. The worker's source goes in first,
then requests, and answers come out, in the frames of `worker.py`; what comes from a container is
parsed as JSON and raw bytes, never executed.
"""

import json
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from aiev.core.errors import UserError
from aiev.core.files import module_path
from aiev.sandbox.api import Request, Result
from aiev.sandbox.bubblewrap.options import ENVIRONMENT, HOOK, PYTHON, resource_limits
from aiev.sandbox.inside.monitor import MIB
from aiev.sandbox.seccomp import bpf_program
from aiev.sandbox.validation import relative

ENGINE = (
    "install Docker or Podman and start it, or name a running engine in DOCKER_HOST"
    " (tests/engine starts one for tests)"
)
GRACE = 60.0  # seconds past the wall clock for a worker on a busy machine to stop, clean and answer
FILTER = bpf_program().hex()
BOOTSTRAP = """
import json, os, sys, types
def read(n):
    data = b""
    while len(data) < n:
        part = os.read(0, n - len(data))
        if not part:
            os._exit(0)
        data += part
    return data
sources = json.loads(read(int(read(12))))
for name in "aiev", "aiev.sandbox", "aiev.sandbox.inside", *sources["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(sources["modules"].get(name, ""), name, "exec"), module.__dict__)
module.main(sources["hook"])
"""


class ContainerDied(Exception):
    """The container has ended; the message says why, as far as known."""


class NotStarted(ContainerDied):
    """The container, its worker or the program failed to start."""


class ContainerTimeout(Exception):
    """The worker did not answer in time."""


class Container:
    """A started container and the stream to its worker."""

    def __init__(self, api, identity: str):
        self.api, self.identity, self.worker_stderr = api, identity, b""
        self.unusable_reason = ""
        try:
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self.response = api.attach_socket(identity, params=streams)
            self.socket = getattr(self.response, "_sock", self.response)
            self.inbox = bytearray()
            api.start(identity)
            self._greet()
        except BaseException:
            self.remove()
            raise

    def _greet(self) -> None:
        """Send the worker its source. Raises NotStarted, or UserError if its Python is another
        version than this one."""
        self.deadline = time.monotonic() + GRACE
        sources = _sources()
        try:
            self._write(f"{len(sources):012d}".encode() + sources)
            python = self._receive(1 << 20)[0]["python"]
        except (ContainerDied, ContainerTimeout) as error:
            raise NotStarted(f"its worker does not answer: {error}") from None
        if python != list(sys.version_info[:2]):
            here = "{}.{}".format(*sys.version_info)
            raise UserError(
                f"the image has Python {'.'.join(map(str, python))}, and this is {here}",
                hint="layers of packages fit one version only: make sandbox-image with this one",
            )

    def run(self, header: dict, blobs: list[bytes], request: Request) -> Result:
        """One round trip. Raises ContainerDied, NotStarted if no program ran, ContainerTimeout."""
        limits = request.limits
        self.deadline = time.monotonic() + limits.wall_seconds + GRACE
        text = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
        try:
            self._write(b"".join([struct.pack("!I", len(text)), text, *blobs]))
            self._receive(MIB)  # the worker has the whole request, and begins
        except ContainerDied as error:
            raise NotStarted(f"it had ended before: {error}") from None
        max_bytes = 2 * limits.output_kib * 1024 + len(request.collect) * limits.file_mib * MIB
        answer, (out, err, *contents) = self._receive(max_bytes + MIB)
        self.unusable_reason = answer.get("unusable_reason", "")
        return Result(
            answer["exit_code"],
            answer["outcome"],
            out.decode("utf-8", "replace"),
            err.decode("utf-8", "replace"),
            {request.collect[n]: data for n, data in zip(answer["files"], contents, strict=True)},
            answer["seconds"],
        )

    def remove(self) -> None:
        """End it: its worker ends with the stream, and the engine removes it even if killed now."""
        with suppress(DockerException, RequestException, OSError):
            self.api.remove_container(self.identity, force=True, v=True)
        with suppress(AttributeError, OSError):
            self.socket.close()
            self.response.close()

    def _write(self, data: bytes) -> None:
        try:
            self.socket.settimeout(max(0.01, self.deadline - time.monotonic()))
            self.socket.sendall(data)
        except TimeoutError as error:
            raise ContainerTimeout from error
        except OSError as error:
            raise ContainerDied(str(error)) from error

    def _receive(self, max_bytes: int) -> tuple[dict, list[bytes]]:
        (size,) = struct.unpack("!I", self._read(4))
        if size > max_bytes:
            raise ContainerDied("an answer that is too long")
        header = json.loads(self._read(size))
        if sum(header["sizes"]) > max_bytes:
            raise ContainerDied("an answer that is too long")
        return header, [self._read(size) for size in header["sizes"]]

    def _read(self, size: int) -> bytes:
        """Read `size` bytes of the worker's stdout; the end of its stderr is kept for a message.

        docker.utils.socket.frames_iter reads the same frames, but waits without a time limit.
        """
        while len(self.inbox) < size:
            kind, length = struct.unpack("!BxxxI", self._raw(8))
            data = self._raw(length)
            if kind == 2:
                self.worker_stderr = (self.worker_stderr + data)[-4096:]
            else:
                self.inbox += data
        data = bytes(self.inbox[:size])
        del self.inbox[:size]
        return data

    def _raw(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                self.socket.settimeout(max(0.01, self.deadline - time.monotonic()))
                part = self.socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError as error:
                raise ContainerTimeout("it does not answer") from error
            except OSError as error:
                raise ContainerDied(str(error)) from error
            if not part:
                raise ContainerDied(
                    f"it has ended {self.worker_stderr.decode('utf-8', 'replace')[-500:]}".strip()
                )
            data += part
        return bytes(data)


def _sources() -> bytes:
    """The worker, after what it imports, and the hook for the programs' interpreters."""
    names = (
        "aiev.sandbox.inside.usage",
        "aiev.sandbox.inside.monitor",
        "aiev.sandbox.inside.cleanup",
        "aiev.sandbox.inside.worker",
    )
    modules = {name: module_path(name).read_text("utf-8") for name in names}
    hook = module_path("aiev.sandbox.inside.bootstrap").read_text("utf-8")
    return json.dumps({"modules": modules, "hook": hook}).encode()


def message_of(request: Request, files: dict[str, bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """The request for the worker: a header, and the files' contents. files: as `validate` gives
    them."""
    own = request.environment.get("PYTHONPATH", "")
    environment = {
        "LD_LIBRARY_PATH": f"{PYTHON}/lib",
        **ENVIRONMENT,
        "PYTHONHASHSEED": str(request.hash_seed),
        **request.environment,
        "PYTHONPATH": f"{HOOK}:{own}" if own else HOOK,
        "PWD": "/box",
    }
    python = f"{PYTHON}/bin/python"
    first, *rest = request.command
    resources = resource_limits(request.limits)
    # The kernel would count the user's processes in all containers: the engine counts each one's.
    resources["RLIMIT_NPROC"] = (1 << 16, 1 << 16)
    return {
        "files": list(files),
        "command": [python if first == "python" else first, *rest],
        "named": [first],
        "environment": environment,
        "limits": asdict(request.limits),
        "resources": resources,
        "filter": FILTER,
        "collect": [relative(name) for name in request.collect],
    }, list(files.values())
