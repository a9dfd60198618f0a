"""What an answer asks to be run, and its run in the sandbox: packages, shell, then the program.

METHOD 3: the model may write an `sh` block (`pip install ...`) before its `python` block. The
packages are installed first, with network; all else runs in the box, without.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiev.core.files import module_path
from aiev.languages.markdown import SHELLS, fenced
from aiev.languages.pip_requests import split
from aiev.languages.python.program import code_of, program_block
from aiev.llm.ledger import Ledger
from aiev.sandbox.api import Limits, Request, Result, Sandbox, open_sandbox
from aiev.sandbox.packages.service import InstallFailed, Layer, Packages

BOXED = module_path("aiev.languages.python.run_main").read_text("utf-8")


@dataclass(frozen=True)
class Script:
    """code: the Python program. shell: commands that run before it, without `pip install`.
    requirements: what is to be installed first. packages: {name, version, sha256} of what is on
    record as installed, in place of requirements."""

    code: str
    shell: str = ""
    requirements: tuple[str, ...] = ()
    packages: tuple[dict[str, str], ...] = ()


def script_of(answer: str, installed: tuple[str, ...] = ()) -> Script | None:
    """The answer's longest program and the shell blocks that stand before it; None where there is
    no program. installed: requirements of earlier turns, which stay installed."""
    program = program_block(answer)
    if program is None:
        return None
    requirements, commands = list(installed), []
    for block in fenced(answer):
        if block.language in SHELLS and block.start < program.start:
            asked, rest = split(block.text)
            requirements += asked
            commands += [rest] if rest.strip() else []
    return Script(code_of(program), "\n".join(commands), tuple(dict.fromkeys(requirements)))


class Interpreter:
    """Runs scripts in a sandbox, with the packages that they ask for; safe for many threads."""

    def __init__(self, sandbox: Sandbox, limits: Limits, packages: Packages):
        self.sandbox, self.limits, self.packages = sandbox, limits, packages

    def layer(self, requirements: tuple[str, ...]) -> Layer | None:
        """The installed packages; None where none are asked for. Raises InstallFailed."""
        return self.packages.layer(requirements) if requirements else None

    def run(self, script: Script, hash_seed: int = 0) -> Result:
        """A failed install is the outcome install-failed, with its reason in stderr."""
        try:
            if script.packages:
                layer = self.packages.recorded(list(script.packages))
            else:
                layer = self.layer(script.requirements)
        except InstallFailed as failure:
            return Result(None, "install-failed", "", f"{failure}\n", {}, 0.0)
        return self.sandbox.run(
            request_of(script, self.limits, layer.mounts if layer else {}, hash_seed)
        )


def request_of(
    script: Script, limits: Limits, mounts: Mapping[str, Path], hash_seed: int
) -> Request:
    """The request that runs the script, its code as main.py with failed asserts explained."""
    files = {"main.py": script.code, "interpreter.py": BOXED}
    command = ("python", "interpreter.py")
    if script.shell:
        files["main.sh"] = f"set -e\n{script.shell}\nexec python interpreter.py\n"
        command = ("bash", "main.sh")
    return Request(files, command, limits, mounts=mounts, hash_seed=hash_seed)


@contextmanager
def open_interpreter(
    sandbox: Mapping[str, Any], ledger: Mapping[str, Any], layers: Path
) -> Iterator[Interpreter]:
    """An interpreter as the config's sections `sandbox` and `ledger` say. Resolutions of packages
    are kept with the model's answers, layers with the finished actions."""
    answers = Ledger(Path(ledger["path"]), ledger["mode"])
    packages = Packages(answers, layers, **sandbox["packages"])
    with open_sandbox(sandbox["backend"], sandbox.get("docker", {})) as box:
        yield Interpreter(box, Limits(**sandbox["limits"]), packages)
