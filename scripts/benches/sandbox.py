"""What a run in the sandbox costs, on both cores."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.sandbox.api import SITE_PACKAGES, Limits, Request, Result, Sandbox, open_sandbox
from aiev.sandbox.settings import DockerSettings
from benches import report

CORES = 2
SECONDS = 4.0
"""Of each loop; a rate is the median of ROUNDS such loops, the peers' between them."""

ROUNDS = 3
LIMITS = Limits()
TRIVIAL = Request({"main.py": "pass\n"}, ("python", "main.py"), LIMITS)
BARE = [sys.executable, "-c", "pass"]
"""What runs the program where there is no sandbox."""

STRIPPED = [str(Path(sys.base_prefix) / "bin" / "python3"), "-I", "-S", "-c", "pass"]
"""An interpreter that sees no packages, as in the box: the least that a start can take."""

LAYER_MS = 10.0
"""Most that a layer which exists may add to a run, from the sandbox's own requirements."""


RUNS = 200  # of each way, for the percentiles
THREADS = (1, 2, 4, 8)


def sandbox() -> None:
    """A trivial program in each way that there is, against an interpreter without packages and
    without a sandbox: percentiles of the wall time, and executions per second and core with more
    and more threads. Without a Docker engine, the other ways."""
    with ExitStack() as stack:
        ways = _ways(stack)
        (bare_name, bare), *rest = ways.items()
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, work in ways.items():
                times[name].append(_seconds(work) * 1000)
        for percent in (50, 95, 99):
            at = {name: quantiles(own, n=100)[percent - 1] for name, own in times.items()}
            for name, value in at.items():
                ratio = at[bare_name] / value
                report(f"{name}_p{percent}", value, "ms", bare_name, at[bare_name], ratio)
        cores = len(os.sched_getaffinity(0))
        for threads in THREADS:
            name = f"{bare_name}_rate_{threads}"
            rate = _rate(bare, threads) / cores
            report(name, rate, "runs/s/core", bare_name, rate, 1.0)
            for way, work in rest:
                ours, theirs = (rate / cores for rate in _rates(work, bare, threads))
                name = f"{way}_rate_{threads}"
                report(name, ours, "runs/s/core", bare_name, theirs, ours / theirs)


def _ways(stack: ExitStack) -> dict[str, Callable[[], None]]:
    """What runs a trivial program, by name, the bare interpreter first."""
    box = stack.enter_context(open_sandbox("bubblewrap"))
    ways = {
        "bare": partial(subprocess.run, STRIPPED, check=True),
        "bubblewrap": _passing(box, TRIVIAL),
        "bubblewrap_interpreter": _interpreted(box),
    }
    try:
        docker, command = _docker(stack, max(THREADS))
    except UserError as error:
        log.warning("without Docker: %s", error)
        return ways
    ways |= {"docker": _passing(docker, TRIVIAL), "docker_interpreter": _interpreted(docker)}
    return {**ways, "docker_run": lambda: subprocess.run(command, check=True)}


def _interpreted(box: Sandbox) -> Callable[[], None]:
    """A dialogue's program, by what explains its failed asserts."""
    interpreter = Interpreter(box, LIMITS, None)
    script = Script("pass\n")
    return lambda: _check(interpreter.run(script))


def sandbox_bubblewrap() -> None:
    """A trivial program in a box, against the bare interpreter: wall time alone, then executions
    per second with both cores busy."""
    with open_sandbox("bubblewrap") as sandbox:
        work = _passing(sandbox, TRIVIAL)
        for peer, command in (("bare interpreter", BARE), ("stripped interpreter", STRIPPED)):
            bare = partial(subprocess.run, command, check=True)
            ours, theirs = _paired(work, bare, 80)
            report("sandbox_bubblewrap", ours, "ms", peer, theirs, theirs / ours)
            ours, theirs = _rates(work, bare)
            name, peer = "sandbox_bubblewrap_rate", f"{CORES} loops of a {peer}"
            report(name, ours, "runs/s", peer, theirs, ours / theirs)


def sandbox_docker() -> None:
    """Executions per second in warm containers, against `docker run --rm` with the same limits."""
    with ExitStack() as stack:
        docker, command = _docker(stack, CORES)
        work = _passing(docker, TRIVIAL)
        ours, peer = _rates(work, lambda: subprocess.run(command, check=True))
    report("sandbox_docker", ours, "runs/s", "docker run --rm", peer, ours / peer)


def _docker(stack: ExitStack, containers: int) -> tuple[Sandbox, list[str]]:
    """The backend, and the command that runs a trivial program in a container of its own.

    Raises UserError without an engine."""
    docker = shutil.which("docker")
    if docker is None:
        raise UserError("there is no docker command to measure against", hint="install docker-cli")
    image = DockerSettings().image
    command = [docker, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL"]
    command += ["--memory", f"{LIMITS.memory_mib}m", "--pids-limit", str(LIMITS.processes)]
    command += ["--tmpfs", f"/box:size={LIMITS.disk_mib}m", "--user", "65534", "--entrypoint"]
    command += ["/opt/python/bin/python", image, "-c", "pass"]
    opened = open_sandbox("docker", {"image": image, "containers": containers})
    return stack.enter_context(opened), command


def sandbox_layer() -> None:
    """What a mounted layer adds to a run, against the most that it may."""
    with tempfile.TemporaryDirectory() as folder, open_sandbox("bubblewrap") as sandbox:
        path = Path(folder)
        path.chmod(0o755)
        (path / "layered.py").write_text("", "utf-8")
        layered = replace(TRIVIAL, mounts={SITE_PACKAGES: path})
        ours, plain = _paired(_passing(sandbox, layered), _passing(sandbox, TRIVIAL), 80)
    cost = max(ours - plain, 0.001)
    report("sandbox_layer", cost, "ms", "the limit", LAYER_MS, LAYER_MS / cost)


def _passing(sandbox, request: Request) -> Callable[[], None]:
    return lambda: _check(sandbox.run(request))


def _check(result: Result) -> None:
    if result.outcome != "passed":
        raise UserError(f"the trivial program ended as {result.outcome}", where=result.stderr)


def _paired(ours: Callable, peer: Callable, times: int) -> tuple[float, float]:
    """Median milliseconds of each, taken in turns."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(times)]
    return median(p[0] for p in pairs) * 1000, median(p[1] for p in pairs) * 1000


def _rates(ours: Callable, peer: Callable, threads: int = CORES) -> tuple[float, float]:
    """Median runs per second of so many threads, taken in turns."""
    pairs = [(_rate(ours, threads), _rate(peer, threads)) for _ in range(ROUNDS)]
    return median(p[0] for p in pairs), median(p[1] for p in pairs)


def _rate(work: Callable, threads: int) -> float:
    end = time.monotonic() + SECONDS

    def loop(_) -> int:
        done = 0
        while time.monotonic() < end:
            work()
            done += 1
        return done

    start = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(loop, range(threads)))
    return done / (time.monotonic() - start)


def _seconds(work: Callable) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
