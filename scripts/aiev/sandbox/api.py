"""Runs an untrusted program in a sandbox, and reports how it ended.

    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(Request({"main.py": code}, ("python", "main.py")))

The program has no network, no view of the host, no privileges, and limits on all that it may use;
a filter refuses the kernel's rarer system calls. What is stopped and what is not, how each backend
does it and how that is tested: docs/sandbox.md.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from aiev.core.errors import UserError
from aiev.sandbox.request import SITE_PACKAGES, Limits, Request, Result, Sandbox

__all__ = [
    "SITE_PACKAGES",
    "Limits",
    "Request",
    "Result",
    "Sandbox",
    "open_sandbox",
    "with_containers",
]


@contextmanager
def open_sandbox(
    backend: str, docker: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Sandbox]:
    """Open the backend of that name, after a test that it isolates on this machine.

    docker: the config's `sandbox.docker`, for the backend of that name.
    Raises UserError with what to install or enable; there is no fallback to no sandbox.
    """
    if backend == "bubblewrap":
        from aiev.sandbox.bubblewrap.backend import open_bubblewrap

        opened = open_bubblewrap()
    elif backend == "docker":
        from aiev.sandbox.docker.backend import open_docker

        opened = open_docker(**docker)
    else:
        raise UserError(
            f"there is no sandbox named {backend!r}", hint="use 'bubblewrap' or 'docker'"
        )
    with opened as sandbox:
        yield sandbox


def with_containers(sandbox: Mapping[str, Any], execution: Mapping[str, Any]) -> dict[str, Any]:
    """The sandbox of a job's parameters with its pool of containers, as `open_sandbox` takes it."""
    if "docker" not in sandbox:
        return dict(sandbox)
    pool = execution["containers"]
    docker = {**sandbox["docker"], "containers": pool["count"], "runs": pool["runs"]}
    return {**sandbox, "docker": docker}
