"""A session with a scripted model and a real box, for the tests of this room."""

from contextlib import contextmanager

from aiev.interpreter.session import Session
from aiev.interpreter.triggers import Fences, Tokens
from aiev.interpreter.workspace import Workspace
from aiev.languages.interpreter import Interpreter
from aiev.llm.endpoints.base import Endpoint
from aiev.llm.streaming import Sampling, StreamingClient
from aiev.sandbox.api import Limits, open_sandbox
from aiev.sandbox.packages.service import InstallFailed

LIMITS = Limits(memory_mib=256, disk_mib=16, file_mib=4, wall_seconds=20)


class NoPackages:
    def layer(self, requirements):
        raise InstallFailed(f"{requirements[0]} is not on the list.")


@contextmanager
def box():
    """A workspace on a real sandbox."""
    with open_sandbox("bubblewrap") as sandbox:
        yield Workspace(Interpreter(sandbox, LIMITS, NoPackages()))


def client_of(scripted, **options):
    endpoint = Endpoint("openai", "scripted", "1", scripted.url, 4, api_key="secret-key-12345")
    return StreamingClient(endpoint, Sampling(), 30, **options)


def session_of(scripted, workspace, trigger="fences", **options):
    how = Fences() if trigger == "fences" else Tokens()
    return Session(client_of(scripted), workspace, how, **options)


def says(*answers):
    """A script that gives the answers one after another, whatever is asked."""
    rest = list(answers)
    return lambda body: rest.pop(0)


def fence(code, language="python"):
    return f"```{language}\n{code}\n```"
