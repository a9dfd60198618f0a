"""Runs the tests part by part and says how long each took: `make test-all`.

A part is one pytest run. The tests on Slurm mostly wait, so they run beside the others. Exits with
1 when a part failed; every part runs to its end all the same.
"""

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CLOSING = re.compile(
    r"^=* ?(.*\d+ (?:passed|failed|skipped|error|deselected).*?) ?=*$", re.MULTILINE
)
"""pytest's last line, with or without its rulers."""


@dataclass(frozen=True)
class Part:
    """One pytest run: the tests with these marks in a folder, and none of those in `without`.

    parallel: two processes share its tests.
    """

    name: str
    marks: str
    folder: str = "tests"
    without: str = ""
    parallel: bool = False

    @property
    def options(self) -> list[str]:
        """For pytest."""
        ignored = [f"--ignore={self.without}"] if self.without else []
        return [self.folder, *ignored, "-m", self.marks]


REAL = "real and not (slurm or nightly)"
PARTS = (
    Part("quick", "not (slow or real or slurm or nightly)", parallel=True),
    Part("slow", "slow and not (real or slurm or nightly)", parallel=True),
    Part("docker", REAL, without="tests/real"),
    Part("real", REAL, folder="tests/real"),
    Part("nightly", "nightly"),
)
SLURM = Part("slurm", "slurm and not nightly")
"""Runs beside the others: its jobs wait for a queue most of the time."""


@dataclass
class Result:
    """How a part ended. output: all that pytest printed."""

    part: Part
    code: int
    seconds: float
    output: str

    @property
    def closing(self) -> str:
        """pytest's last line."""
        found = CLOSING.findall(self.output)
        return found[-1] if found else f"exit code {self.code}"


def main() -> int:
    arguments = _parse()
    start = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        wanted = SLURM.name in arguments.parts
        beside = pool.submit(_run, SLURM, arguments.pytest, show=False) if wanted else None
        parts = [part for part in PARTS if part.name in arguments.parts]
        results = [_run(part, arguments.pytest) for part in parts]
        if beside:
            results.append(beside.result())
            print(f"\n== {SLURM.name}, which ran beside the others\n{results[-1].output}")
    print(f"\n{'part':10} {'seconds':>8}  result")
    for result in results:
        print(f"{result.part.name:10} {result.seconds:8.0f}  {result.closing}")
    print(f"{'together':10} {time.monotonic() - start:8.0f}")
    left = [part.name for part in (*PARTS, SLURM) if part.name not in arguments.parts]
    if left:
        print(f"not run here: {', '.join(left)}; `make test-all` runs every part")
    print(_sum(results))
    # pytest's exit code 5: the selection holds no test.
    return int(any(result.code not in (0, 5) for result in results))


def _parse() -> argparse.Namespace:
    names = [*(part.name for part in PARTS), SLURM.name]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all")
    parser.add_argument("--pytest", default="", help="more options for pytest, in one word")
    arguments = parser.parse_args()
    arguments.pytest = arguments.pytest.split()
    arguments.parts = arguments.parts or names
    if unknown := set(arguments.parts) - set(names):
        parser.error(f"no part is called {sorted(unknown)[0]!r}; use {', '.join(names)}")
    return arguments


def _run(part: Part, more: list[str], show: bool = True) -> Result:
    shared = ["-n", "2", "--dist", "loadfile"] if part.parallel else []
    command = [sys.executable, "-m", "pytest", "-q", *shared, *part.options, *more]
    if show:
        print(f"\n== {part.name}", flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if show:
            print(line, end="", flush=True)
    code = process.wait()
    return Result(part, code, time.monotonic() - start, "".join(lines))


def _sum(results: list[Result]) -> str:
    """The counts of all parts, in the form of one pytest run."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", result.closing):
            counts["failed" if word == "error" else word] += int(number)
    return ", ".join(f"{number} {word}" for word, number in counts.items())


if __name__ == "__main__":
    sys.exit(main())
