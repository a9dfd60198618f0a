"""How a program of a language is compiled and run in the sandbox, in two steps with own limits.

A toolchain is a file in this package with a class `Toolchain`. Its programs are Debian's, as the
sandbox shows /usr and nothing that a user installed for himself; `make toolchains` installs them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from aiev.core.errors import UserError
from aiev.sandbox.request import Limits, Request, Result, Sandbox

BUILT = "built.tar"
"""What a compilation hands over to the run: a compiled program loses its run bit otherwise."""


@dataclass(frozen=True)
class Steps:
    """Limits of the two steps: CPU seconds and memory."""

    compile_seconds: int = 60
    run_seconds: int = 15
    memory_mib: int = 2048


@dataclass(frozen=True)
class Ran:
    """What became of a program.

    outcome: compile-error, or as the sandbox tells it (`Result.outcome`), of the step that ended
    it. seconds: wall time of both steps. said: the end of stderr.
    """

    outcome: str
    stdout: str
    said: str
    seconds: float


class Toolchain:
    """A language's compiler or interpreter.

    title: as readers know the language. fences: info strings of its fenced blocks, in lower case;
    the first one is asked for. packages: Debian's, which hold it. programs: that must be
    in the sandbox. source: name of the program's file. compile: shell command, "" for none, which
    makes `products`. run: shell command. beside: further files of the run, by name. mounts: paths
    on the host that it needs beside /usr/bin and /usr/lib, at the same place in the sandbox.
    control: a program that must print "ready".
    prints: statement that prints `{mark}` on a line of its own. braces: that close behind the last
    test of a program. end: what a program may end with, and nothing can follow; "" for nothing.
    """

    title: ClassVar[str]
    fences: ClassVar[Sequence[str]]
    packages: ClassVar[Sequence[str]]
    programs: ClassVar[Sequence[str]]
    source: ClassVar[str]
    compile: ClassVar[str] = ""
    products: ClassVar[str] = ""
    run: ClassVar[str]
    mounts: ClassVar[Sequence[str]] = ()
    beside: ClassVar[Mapping[str, str]] = {}
    control: ClassVar[str]
    prints: ClassVar[str]
    braces: ClassVar[int] = 0
    end: ClassVar[str] = ""

    def execute(self, program: str, sandbox: Sandbox, steps: Steps) -> Ran:
        """Compile and run a program."""
        files: dict[str, str | bytes] = {self.source: program}
        seconds = 0.0
        if self.compile:
            built = self._step(
                f"{self.compile} && tar -cf {BUILT} {self.products}",
                files,
                sandbox,
                self._limits(steps.compile_seconds, steps.memory_mib),
                (BUILT,),
            )
            seconds = built.seconds
            if built.outcome != "passed" or BUILT not in built.files:
                outcome = "compile-error" if built.outcome == "failed" else built.outcome
                # tsc writes its errors to stdout.
                return Ran(outcome, "", (built.stdout + built.stderr)[-2000:], seconds)
            files = {BUILT: built.files[BUILT]}
        files |= self.beside
        command = f"tar -xf {BUILT} && {self.run}" if self.compile else self.run
        ran = self._step(command, files, sandbox, self._limits(steps.run_seconds, steps.memory_mib))
        return Ran(ran.outcome, ran.stdout, ran.stderr[-2000:], seconds + ran.seconds)

    def check(self, sandbox: Sandbox) -> None:
        """Raise UserError, naming the packages, unless the toolchain works in the sandbox."""
        missing = [path for path in self.mounts if not Path(path).exists()]
        if not missing:
            tests = " && ".join(f"command -v {program}" for program in self.programs)
            found = self._step(f"{{ {tests}; }} >&2", {}, sandbox, self._limits(10, 512))
            missing = [] if found.outcome == "passed" else list(self.programs)
        hint = f"make toolchains, or apt-get install {' '.join(self.packages)}"
        if missing:
            raise UserError(f"no toolchain for {self.title}: {', '.join(missing)}", hint=hint)
        ran = self.execute(self.control, sandbox, Steps())
        if ran.outcome != "passed" or ran.stdout.strip() != "ready":
            message = f"the toolchain for {self.title} does not work: {ran.outcome}: {ran.said}"
            raise UserError(message, hint=hint)

    def versions(self, sandbox: Sandbox) -> dict[str, str]:
        """First line of what each program says of itself, by its name; "" of one that is missing or
        says nothing."""
        asks = [f'echo "$({program} --version 2>&1 | head -n 1)"' for program in self.programs]
        said = self._step("; ".join(asks), {}, sandbox, self._limits(30, 2048)).stdout
        lines = said.splitlines() or [""] * len(self.programs)
        return dict(zip(self.programs, lines, strict=False))

    def _step(
        self,
        command: str,
        files: Mapping[str, str | bytes],
        sandbox: Sandbox,
        limits: Limits,
        collect: tuple[str, ...] = (),
    ) -> Result:
        mounts = {path: Path(path) for path in self.mounts}
        request = Request(files, ("sh", "-c", command), limits, mounts=mounts, collect=collect)
        return sandbox.run(request)

    def _limits(self, cpu_seconds: int, memory_mib: int) -> Limits:
        # The wall clock is there for programs that wait; the CPU time decides about the others.
        return Limits(
            wall_seconds=60 + 8 * cpu_seconds,
            cpu_seconds=cpu_seconds,
            memory_mib=memory_mib,
            processes=128,
            file_mib=128,
        )
