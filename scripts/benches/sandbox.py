"""What a run in the sandbox costs, on both cores."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from aiev.core.errors import UserError
from aiev.sandbox.api import SITE_PACKAGES, Limits, Request, open_sandbox
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
    docker = shutil.which("docker")
    if docker is None:
        raise UserError("there is no docker command to measure against", hint="install docker-cli")
    image = DockerSettings().image
    command = [docker, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL"]
    command += ["--memory", f"{LIMITS.memory_mib}m", "--pids-limit", str(LIMITS.processes)]
    command += ["--tmpfs", f"/box:size={LIMITS.disk_mib}m", "--user", "65534", "--entrypoint"]
    command += ["/opt/python/bin/python", image, "-c", "pass"]
    with open_sandbox("docker", {"image": image, "containers": CORES}) as sandbox:
        work = _passing(sandbox, TRIVIAL)
        ours, peer = _rates(work, lambda: subprocess.run(command, check=True))
    report("sandbox_docker", ours, "runs/s", "docker run --rm", peer, ours / peer)


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
    def run() -> None:
        result = sandbox.run(request)
        if result.outcome != "passed":
            raise UserError(f"the trivial program ended as {result.outcome}", where=result.stderr)

    return run


def _paired(ours: Callable, peer: Callable, times: int) -> tuple[float, float]:
    """Median milliseconds of each, taken in turns."""
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(times)]
    return median(p[0] for p in pairs) * 1000, median(p[1] for p in pairs) * 1000


def _rates(ours: Callable, peer: Callable) -> tuple[float, float]:
    """Median runs per second of CORES threads, taken in turns."""
    pairs = [(_rate(ours), _rate(peer)) for _ in range(ROUNDS)]
    return median(p[0] for p in pairs), median(p[1] for p in pairs)


def _rate(work: Callable) -> float:
    end = time.monotonic() + SECONDS

    def loop(_) -> int:
        done = 0
        while time.monotonic() < end:
            work()
            done += 1
        return done

    start = time.monotonic()
    with ThreadPoolExecutor(CORES) as threads:
        done = sum(threads.map(loop, range(CORES)))
    return done / (time.monotonic() - start)


def _seconds(work: Callable) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
