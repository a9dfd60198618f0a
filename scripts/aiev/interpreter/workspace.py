"""Runs the code of a conversation in the sandbox: each run in a box of its own, which begins with
the files and packages that the run before left.

A state is a value: a conversation that is taken back, or continued twice, has the state of the
place where it goes on. Between runs no process, container or file of it is anywhere but in this
process's memory, and a run is the same request to the sandbox as any other: what keeps a hostile
program in its box is the sandbox alone.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from aiev.core.errors import UserError
from aiev.core.files import module_path
from aiev.languages.base import Script
from aiev.languages.interpreter import MAX_SHELL_RUNS, Interpreter, error_text
from aiev.languages.python.pip_arguments import read_calls, requirements_after
from aiev.languages.shell import ASKED, shell_only, with_shell
from aiev.sandbox.packages.service import InstallFailed
from aiev.sandbox.request import Request, Result
from aiev.sandbox.validation import relative

FOLDER = ".keep"
PACKED = f"{FOLDER}/files"
MIB = 1 << 20
VARIABLES = f"{FOLDER}/variables"
KEEP = module_path("aiev.interpreter.inside_keep").read_text("utf-8")
WITH_VARIABLES = module_path("aiev.interpreter.inside_variables").read_text("utf-8")
MAX_FILES = 1000
MAX_HEAD = 2 * MIB
"""Bytes of the names and sizes of all packed files."""
REFUSED = "The user did not allow the installation."


@dataclass(frozen=True)
class State:
    """What a run leaves for the next one. files: content by name relative to /box.
    requirements: packages that are installed, as `pip install` takes them. variables: what the
    next program finds defined; bytes that are read in a box and nowhere else."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    variables: bytes = b""


class Run(NamedTuple):
    """What an answer asks to be run: shell commands, then a program; either may be empty."""

    code: str
    shell: str = ""

    @property
    def language(self) -> str:
        return "python" if self.code else "sh"

    @property
    def text(self) -> str:
        """What the user is asked to allow: all of it."""
        return "\n\n".join(part for part in (self.shell, self.code) if part)


class Done(NamedTuple):
    """How a run ended. kept: whether its files are in the state; after a run that was stopped they
    are those from before it."""

    result: Result
    state: State
    kept: bool

    @property
    def text(self) -> str:
        """What the model is told: the output, and after a failure the error, as in training."""
        if self.result.outcome == "passed":
            return self.result.stdout
        parts = self.result.stdout.strip("\n"), error_text(self.result)
        return "\n".join(part for part in parts if part)


class Workspace:
    """Runs code in the sandbox; safe for many threads.

    keep_variables: whether a program finds defined what the one before it defined. max_bytes: of
    the files that are kept from one run to the next; those that do not fit are lost.
    """

    def __init__(self, interpreter: Interpreter, keep_variables: bool = False):
        self.interpreter, self.keep_variables = interpreter, keep_variables
        self.max_bytes = interpreter.limits.file_mib * MIB // 2

    def run(
        self, state: State, run: Run, allow: Callable[[tuple[str, ...]], bool] = lambda _: True
    ) -> Done:
        """Run the code with the state's files and packages.

        allow: asked before requirements are installed that were not installed before.
        """
        script = Script(run.code, run.shell, state.requirements)
        try:
            script = self._prepared(state, script, allow)
            request = self._request(script)
        except InstallFailed as failure:
            return Done(Result(None, "install-failed", "", f"{failure}\n", {}, 0.0), state, False)
        result = self.interpreter.sandbox.run(self._with_files(request, state))
        packed = result.files.get(PACKED)
        files = None if packed is None else unpacked(packed)
        if files is None:
            return Done(result, replace(state, requirements=script.requirements), False)
        variables = result.files.get(VARIABLES, state.variables)
        return Done(result, State(files, script.requirements, variables), True)

    def _prepared(self, state: State, script: Script, allow) -> Script:
        """The script with the requirements that its shell commands ask for, once allowed. The
        commands run in the box to find out, without network. Raises InstallFailed."""
        if not script.shell:
            return script
        for _ in range(MAX_SHELL_RUNS):
            request = shell_only(self.interpreter.request(script), script.shell)
            result = self.interpreter.sandbox.run(_with(request, state))
            calls = read_calls(result.files.get(ASKED, b""))
            found = requirements_after(state.requirements, calls)
            new = tuple(text for text in found if text not in script.requirements)
            if new and not allow(new):
                raise InstallFailed(REFUSED)
            unchanged, script = found == script.requirements, replace(script, requirements=found)
            if unchanged or result.outcome == "passed":
                break
        return script

    def _request(self, script: Script) -> Request:
        request = self.interpreter.request(script)
        if self.keep_variables and script.code:
            request = replace(request, command=("python", f"{FOLDER}/variables.py"))
        return with_shell(request, script.shell) if script.shell else request

    def _with_files(self, request: Request, state: State) -> Request:
        """The request with the state's files, which hands back those that are there at its end."""
        own = [*request.files, "main.py", "interpreter.py"]
        settings = {"own": own, "max_bytes": self.max_bytes, "max_files": MAX_FILES}
        files = {f"{FOLDER}/keep.py": KEEP, f"{FOLDER}/settings": json.dumps(settings)}
        if self.keep_variables:
            files[f"{FOLDER}/variables.py"] = WITH_VARIABLES
            files |= {VARIABLES: state.variables} if state.variables else {}
        request = replace(
            request,
            command=("python", f"{FOLDER}/keep.py", *request.command),
            files={**request.files, **files},
            collect=(PACKED, VARIABLES) if self.keep_variables else (PACKED,),
        )
        return _with(request, state)


def with_file(state: State, name: str, content: bytes, max_bytes: int) -> State:
    """The state with one more file. Raises UserError for a name that is none, or too much."""
    files = {**state.files, relative(name): content}
    size = sum(map(len, files.values()))
    if size > max_bytes or len(files) > MAX_FILES:
        message = f"the files take {size} bytes, and {max_bytes} in {MAX_FILES} can be kept"
        raise UserError(message, hint="use smaller files, or fewer")
    if any(parent in files for each in files for parent in _parents(each)):
        raise UserError(
            f"a directory named {name!r} already exists, or a file where it needs one",
            hint="rename it",
        )
    return replace(state, files=files)


def _with(request: Request, state: State) -> Request:
    """The request with the state's files, where they do not stand in the way of its own."""
    own = {name.partition("/")[0] for name in request.files}
    files = {n: content for n, content in state.files.items() if n.partition("/")[0] not in own}
    return replace(request, files={**files, **request.files})


def unpacked(content: bytes) -> dict[str, bytes] | None:
    """The files that `inside_keep` packed; None for what is none of its. A program in the box can
    write anything there."""
    head, _, rest = content.partition(b"\n")
    files, place = {}, 0
    if len(head) > MAX_HEAD:
        return None
    try:
        for name, size in json.loads(head):
            if type(size) is not int or not 0 <= size <= len(rest) - place:
                return None
            files[relative(name)] = rest[place : place + size]
            place += size
    except (ValueError, TypeError, RecursionError, UserError):
        return None
    # A file in the place of a folder would make the next request impossible.
    clash = any(parent in files for name in files for parent in _parents(name))
    return None if clash or len(files) > MAX_FILES else files


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
