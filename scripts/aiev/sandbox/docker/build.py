"""Builds the Docker sandbox's image, in the engine that DOCKER_HOST names.

From the Dockerfile in envs/sandbox, whose base is pinned by digest; where no image registry is
reachable, or this is another Python than the Dockerfile's, from Debian's packages (debootstrap)
and the interpreter that runs this. An image of the same recipe and Python is kept as it is.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from aiev.core.errors import UserError
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.docker.backend import ENGINE
from aiev.sandbox.docker.image import LABEL, PYTHON, RECIPE, has_recipe, recipe_digest

SUITE = "bookworm"
WAIT = 1800  # seconds for the engine to pull, build or import


def build_image(name: str) -> None:
    """Build the image called `name`, and run a program in it. Raises UserError where the engine
    does not answer or cannot build it."""
    try:
        client = docker.from_env(timeout=WAIT)
        client.ping()
    except (DockerException, RequestException) as error:
        raise UserError(f"no container engine answers: {error}", hint=ENGINE) from error
    if _is_there(client, name):
        say(f"{name} is up to date: same recipe, Python {PYTHON}")
    else:
        labels = {f"{LABEL}.recipe": recipe_digest()}
        try:
            make = _build if _pulled(client) else _assemble
            make(client, name, labels)
        except (DockerException, RequestException) as error:
            raise UserError(f"the engine cannot build the image: {error}", hint=ENGINE) from error
        if not _is_there(client, name):
            raise UserError("the engine did not keep the image", hint="see the engine's log")
    with open_sandbox("docker", {"image": name, "containers": 1}):
        say(f"{name} is ready; a program in it was seen to be isolated")


def say(text: str) -> None:
    print(f"sandbox image: {text}", flush=True)


def _is_there(client, name: str) -> bool:
    try:
        return has_recipe(client.images.get(name))
    except ImageNotFound:
        return False


def _pulled(client) -> bool:
    """Whether the Dockerfile's base is in the engine now; says why not."""
    lines = (RECIPE / "Dockerfile").read_text("utf-8").splitlines()
    base = next(line.split()[1] for line in lines if line.startswith("FROM "))
    if f"python:{PYTHON}." not in base:
        say(f"the Dockerfile is for another Python than {PYTHON}: taking Debian's packages")
        return False
    say(f"pulling {base}")
    try:
        client.images.pull(base)
    except (APIError, NotFound) as error:
        say(f"no image registry gives it ({error.explanation}): taking Debian's packages")
        return False
    return True


def _build(client, name: str, labels: dict[str, str]) -> None:
    """Build the Dockerfile; raises UserError where its steps fail."""
    say("building the Dockerfile")
    steps = client.api.build(
        path=str(RECIPE), tag=name, labels=labels, network_mode="none", rm=True, decode=True
    )
    for step in steps:
        if "error" in step:
            raise UserError(f"the image cannot be built: {step['error']}", where=str(RECIPE))
        if text := step.get("stream", "").strip():
            say(f"  {text}")


def _assemble(client, name: str, labels: dict[str, str]) -> None:
    """Debian's base and this interpreter, put together here and imported."""
    _require_debootstrap()
    lines = (RECIPE / "packages.txt").read_text("utf-8").split("\n")
    packages = ",".join(line for line in lines if line and not line.startswith("#"))
    with tempfile.TemporaryDirectory(prefix="sandbox-image-") as folder:
        system, image = f"{folder}/system", f"{folder}/image"
        say(f"downloading and unpacking Debian {SUITE} (about a minute, 250 MB)")
        include = f"--include={packages}"
        _run(["debootstrap", "--variant=minbase", include, SUITE, system], "debootstrap")
        say(f"adding Python {PYTHON} from {sys.base_prefix}")
        script = str(RECIPE / "assemble.sh")
        _run(["sh", script, system, sys.base_prefix, PYTHON, image], "assemble.sh")
        say("importing it")
        changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
        tar = ["tar", "-C", image, "-c", "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as packed:
            blocks = iter(lambda: packed.stdout.read(1 << 20), b"")
            client.api.import_image_from_data(blocks, repository=name, changes=changes)
        if packed.returncode:
            raise UserError(f"tar ended with {packed.returncode}", where=image)


def _require_debootstrap() -> None:
    if shutil.which("debootstrap") is None:
        raise UserError(
            "there is neither an image registry nor debootstrap to make the image from",
            hint="apt-get install debootstrap, or give the engine access to an image registry",
        )
    if os.geteuid() != 0:
        raise UserError("debootstrap needs root", hint="run this as root")


def _run(command: list[str], name: str, every: float = 5.0) -> None:
    """Run the command and print its latest line from time to time. Raises UserError with its last
    lines."""
    tail, last = [], time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process:
        for line in _lines(process.stdout):
            tail = [*tail[-19:], line]
            if time.monotonic() - last > every:
                last = time.monotonic()
                say(f"  {line}")
    if process.returncode:
        raise UserError(f"{name} failed: " + "\n".join(tail), where=" ".join(command))


def _lines(stream: Iterable[bytes]) -> Iterable[str]:
    return (line.decode("utf-8", "replace").rstrip() for line in stream)
