"""Runs what an answer asks to be run: packages, shell commands, then the program.

METHOD 3: the model may write an `sh` block (`pip install ...`) before its `python` block. The
packages are installed first, with network; all else runs in the box, without.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiev.languages import LANGUAGES
from aiev.languages.base import Language, Script
from aiev.languages.markdown import SHELLS, fenced
from aiev.languages.python.language import Language as Python
from aiev.languages.python.pip_arguments import read_calls, requirements_after
from aiev.languages.shell import ASKED, commands_of, shell_only, with_shell
from aiev.llm.ledger import Ledger
from aiev.sandbox.api import Limits, Request, Result, Sandbox, open_sandbox
from aiev.sandbox.packages.service import InstallFailed, Layer, Packages

PYTHON: Language = Python()
MAX_SHELL_RUNS = 4
"""Runs of a shell block to find out what it installs: a command that needs a package which the
block has installed fails in the first run, and what follows it is reached in the next one."""


_SAYS = {
    "timed-out": "The program was stopped: it ran longer than the time limit.",
    "out-of-memory": "The program was stopped: it used more memory than the limit.",
    "crashed": "The program was killed by a signal.",
    "output-cut": "The program was stopped: it printed more than the limit.",
    "install-failed": "The packages could not be installed, and the program did not run.",
}


def script_of(
    answer: str, installed: tuple[str, ...] = (), language: Language = PYTHON
) -> Script | None:
    """The program of an answer and the shell commands before it; None where there is no program.

    installed: requirements of earlier turns, which stay installed.
    """
    code = language.program(answer)
    if code is None:
        return None
    first = code.blocks[0].start
    shell = [
        commands_of(block.text)
        for block in fenced(answer)
        if block.language in SHELLS and block.start < first
    ]
    commands = [text for text in (*shell, commands_of(code.shell)) if text.strip()]
    return Script(code.text, "\n".join(commands), installed)


class Interpreter:
    """Runs scripts in a sandbox, with the packages that they ask for; safe for many threads."""

    def __init__(
        self, sandbox: Sandbox, limits: Limits, packages: Packages, language: Language = PYTHON
    ):
        self.sandbox, self.limits, self.packages = sandbox, limits, packages
        self.language = language

    def layer(self, requirements: tuple[str, ...]) -> Layer | None:
        """The installed packages; None where none are asked for. Raises InstallFailed."""
        return self.packages.layer(requirements) if requirements else None

    def prepare(self, script: Script) -> Script:
        """The script with the requirements that its shell commands leave installed.

        Runs the commands in the box, without the program; a script without any is returned at
        once. A requirement that cannot be installed stays, for `run` to tell.
        """
        if not script.shell:
            return script
        before = script.requirements
        for _ in range(MAX_SHELL_RUNS):
            try:
                request = shell_only(self.request(script), script.shell)
            except InstallFailed:
                break
            result = self.sandbox.run(request)
            calls = read_calls(result.files.get(ASKED, b""))
            found = requirements_after(before, calls)
            unchanged = found == script.requirements
            script = replace(script, requirements=found)
            if unchanged or result.outcome == "passed":
                break
        return script

    def run(self, script: Script, hash_seed: int = 0) -> Result:
        """Run a prepared script. A failed install is the outcome install-failed, with its reason in
        stderr."""
        try:
            request = self.request(script, hash_seed)
        except InstallFailed as failure:
            return Result(None, "install-failed", "", f"{failure}\n", {}, 0.0)
        return self.sandbox.run(with_shell(request, script.shell) if script.shell else request)

    def request(self, script: Script, hash_seed: int = 0) -> Request:
        """The request that runs the program with its packages. Raises InstallFailed."""
        if script.packages:
            layer = self.packages.recorded(list(script.packages))
        else:
            layer = self.layer(script.requirements)
        mounts = layer.mounts if layer else {}
        return self.language.request(script, self.limits, mounts, hash_seed)


def error_text(result: Result) -> str:
    """What the interpreter says of a run that failed; stderr, and why it was stopped."""
    said = _SAYS.get(result.outcome, "")
    if not result.stderr.strip() and not said:
        said = f"The program ended with exit code {result.exit_code} and no message."
    return "\n".join(part for part in (result.stderr.strip("\n"), said) if part)


@contextmanager
def open_interpreter(
    sandbox: Mapping[str, Any], ledger: Mapping[str, Any], layers: Path, language: str = "python"
) -> Iterator[Interpreter]:
    """An interpreter as the config's sections `sandbox` and `ledger` say. Resolutions of packages
    are kept with the model's answers, layers with the finished actions.

    language: its name, or the path of a file that defines it.
    """
    answers = Ledger(Path(ledger["path"]), ledger["mode"])
    packages = Packages(answers, layers, **sandbox["packages"])
    with open_sandbox(sandbox["backend"], sandbox.get("docker", {})) as box:
        chosen = LANGUAGES.get(language)()
        yield Interpreter(box, Limits(**sandbox["limits"]), packages, chosen)
