"""The sandbox's backend on a container engine: Docker, or Podman's compatible socket.

A warm container has `worker.py` as its process 1, which runs one request after another; a run
costs one round trip over the attached standard streams. The worker ends when they close, even
when this process is killed, and the engine then removes the container. `pool.py` keeps them.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import LogConfig, Mount
from requests.exceptions import RequestException

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.sandbox.api import Request, Result
from aiev.sandbox.bubblewrap.backend import SELF_TEST
from aiev.sandbox.bubblewrap.options import HOOK, PYTHON
from aiev.sandbox.docker.container import (
    BOOTSTRAP,
    ENGINE,
    Container,
    ContainerDied,
    ContainerTimeout,
    NotStarted,
    message_of,
)
from aiev.sandbox.docker.image import LABEL, has_recipe
from aiev.sandbox.docker.pool import Pool
from aiev.sandbox.inside.monitor import MIB, SHARED_MIB
from aiev.sandbox.seccomp import docker_profile
from aiev.sandbox.validation import validate

STARTS = 3
MAKE = "make sandbox-image"


@contextmanager
def open_docker(
    image: str = "autocoder-sandbox", runtime: str = "", containers: int = 0, runs: int = 200
) -> Iterator["Docker"]:
    """A tested backend. Raises UserError if no engine answers or the image is another one."""
    with ExitStack() as stack:
        try:
            client = docker.from_env(timeout=120)
            stack.callback(client.close)
            info, podman = client.info(), _is_podman(client)
            check_engine(info, runtime, podman)
            _sweep(client)
            found = client.images.get(image)
            seccomp = _profile(podman, stack)
        except ImageNotFound as error:
            raise UserError(f"the engine has no image {image!r}", hint=MAKE) from error
        except (DockerException, RequestException) as error:
            raise UserError(f"no container engine answers: {error}", hint=ENGINE) from error
        if not has_recipe(found):
            what = f"the image {image!r} is not one of envs/sandbox as it is here"
            raise UserError(what, where="config: sandbox.docker.image", hint=MAKE)
        limit = containers or len(os.sched_getaffinity(0))
        sandbox = Docker(client, found.id, {"runtime": runtime, "seccomp": seccomp}, limit, runs)
        stack.callback(sandbox.pool.close)
        result = sandbox.run(Request({"main.py": SELF_TEST}, ("python", "main.py")))
        if result.stdout != "isolated\n":
            ending = f"{result.outcome}: {result.stderr.strip()}"
            raise UserError(f"the container does not isolate: {ending}", hint=f"again: {MAKE}")
        yield sandbox


def _is_podman(client) -> bool:
    parts = client.version().get("Components") or ()
    return any("podman" in part["Name"].lower() for part in parts)


def _profile(podman: bool, stack: ExitStack) -> str:
    """The filter of system calls as the engine wants it: Docker as text, Podman as a file."""
    text = json.dumps(docker_profile())
    if not podman:
        return text
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-"))
    (path := Path(folder) / "seccomp.json").write_text(text, "utf-8")
    return str(path)


def check_engine(info: Mapping[str, Any], runtime: str = "", podman: bool = False) -> None:
    """Raise UserError if the engine cannot enforce what is asked of it, or would ignore it."""
    if podman and runtime not in ("", default := info.get("DefaultRuntime")):
        raise UserError(
            f"Podman would silently use its own runtime {default!r} and not {runtime!r}",
            hint="name it in Podman's containers.conf",
        )
    missing = [name for name in ("MemoryLimit", "PidsLimit") if info.get(name) is False]
    if not any("seccomp" in option for option in info.get("SecurityOptions") or ()):
        missing.append("seccomp")
    if missing:
        raise UserError(
            f"the container engine cannot isolate: it lacks {', '.join(missing)}",
            hint="give the engine these cgroup controllers, and a kernel with seccomp",
        )


class Docker:
    """Runs each request in a container of its pool."""

    def __init__(self, client, image: str, engine: dict[str, str], containers: int, runs: int):
        self.client, self.image, self.engine = client, image, engine
        self.pool = Pool(self._start, containers, runs)

    def run(self, request: Request) -> Result:
        """See `Sandbox.run`."""
        header, blobs = message_of(request, validate(request, from_root=True))
        losses, fresh = 0, False
        while losses < STARTS:
            try:
                with self.pool.lease(shape_of(request)) as container:
                    return container.run(header, blobs, request)
            except ContainerTimeout:
                return Result(None, "timed-out", "", "", {}, request.limits.wall_seconds)
            except ContainerDied as error:
                # A run leaves nothing behind, so it can be repeated from the start.
                reason = error
                if fresh or not isinstance(error, NotStarted):
                    losses += 1
                else:  # it has died while idle, with the engine, and so have the others
                    self.pool.drop_idle()
                    fresh = True
                log.info("a container was lost (%d of %d): %s", losses, STARTS, error)
        if isinstance(reason, NotStarted):
            raise UserError(f"the engine cannot start a container: {reason}", hint=ENGINE)
        return Result(None, "crashed", "", "", {}, 0.0)

    def _start(self, shape: tuple) -> "Container":
        options = _container_options(self.client.api, shape, **self.engine)
        command = [f"{PYTHON}/bin/python", "-I", "-S", "-c", BOOTSTRAP]
        try:
            made = self.client.api.create_container(self.image, command, **options)
            return Container(self.client.api, made["Id"])
        except (DockerException, RequestException, OSError) as error:
            raise NotStarted(str(error)) from error


def shape_of(request: Request) -> tuple:
    """The settings of a container that cannot be changed later."""
    limits = request.limits
    mounts = []
    for inside, outside in sorted(request.mounts.items()):
        about = os.stat(outside)
        mounts.append((inside, str(Path(outside).resolve()), about.st_dev, about.st_ino))
    return limits.memory_mib, limits.disk_mib, limits.processes, tuple(mounts)


def _container_options(api, shape: tuple, runtime: str, seccomp: str) -> dict[str, Any]:
    memory, disk, processes, mounts = shape
    folder = f"size={disk}m,nosuid,nodev,exec"
    closed = "size=4k,nosuid,nodev,noexec"
    backstop = (
        memory + 2 * disk + 256
    ) * MIB  # the worker's own monitor acts first, and gives a reason
    host = api.create_host_config(
        auto_remove=True,
        network_mode="none",
        read_only=True,
        tmpfs={
            "/box": folder,
            "/tmp": folder,
            "/dev/shm": f"size={SHARED_MIB}m,nosuid,nodev,noexec",
            HOOK: "size=1m,mode=755,nosuid,nodev,noexec",
            "/sys": closed,  # programs need not see the host's hardware
            "/dev/mqueue": closed,
        },
        cap_drop=["ALL"],
        cap_add=["SETUID", "SETGID", "KILL", "SYS_PTRACE"],  # the worker's; programs have none
        security_opt=["no-new-privileges", f"seccomp={seccomp}"],
        pids_limit=processes + 1,
        mem_limit=backstop,
        memswap_limit=backstop,
        ipc_mode="private",
        extra_hosts={"box": "127.0.0.1"},
        dns=["127.0.0.1"],  # not the host's, which the engine would pass on
        dns_search=["."],
        sysctls={"net.ipv4.tcp_max_tw_buckets": "0"},  # a port is free as soon as its owner is dead
        mounts=[Mount(inside, at, "bind", read_only=True) for inside, at, *_ in mounts],
        log_config=LogConfig(type="none"),  # the engine would store all answers of the workers
        runtime=runtime or None,
    )
    return {
        "host_config": host,
        "hostname": "box",
        "user": "0:0",
        "working_dir": "/",
        "stdin_open": True,
        "stop_signal": "SIGKILL",  # process 1 ignores all others
        "labels": {LABEL: "1", f"{LABEL}.owner": owner_of(os.getpid())},
    }


def owner_of(pid: int) -> str:
    """A name for a process of this machine that no later process gets; "" if it has ended."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    if stat[0] == "Z":
        return ""
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}/{pid}/{stat[19]}"


def _sweep(client) -> None:
    """Remove containers whose owner on this machine is gone; others' are left alone."""
    here = owner_of(os.getpid()).rsplit("/", 2)[0]
    for container in client.containers.list(all=True, filters={"label": LABEL}, sparse=True):
        labels: Mapping[str, str] = container.attrs.get("Labels") or {}
        place, _, rest = labels.get(f"{LABEL}.owner", "").partition("]/")
        if f"{place}]" != here or not (pid := rest.partition("/")[0]).isdigit():
            continue
        if owner_of(int(pid)) != f"{here}/{rest}":
            log.info("removing a container that a killed run left: %s", container.short_id)
            with suppress(DockerException):
                container.remove(force=True, v=True)
