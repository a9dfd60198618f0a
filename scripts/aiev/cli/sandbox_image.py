"""`aiev sandbox-image`: the image of the Docker sandbox."""

from typing import Annotated

import typer

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What to call the image in the engine.")
]


def sandbox_image(name: NameArgument = "autocoder-sandbox") -> None:
    """Build the image of the Docker sandbox, for `sandbox.backend: docker`.

    Uses the engine that DOCKER_HOST names. The image is built from envs/sandbox/Dockerfile, or,
    where no image registry is reachable, from Debian's packages (debootstrap, as root). An image
    that is up to date is kept.

    \b
      aiev sandbox-image
      DOCKER_HOST=unix:///run/user/1000/docker.sock aiev sandbox-image
    """
    from aiev.sandbox.docker.build import build_image

    build_image(name)
