"""Runs the tests part by part and says how long each took: `make test-all`.

A part is one pytest run. The tests on Slurm mostly wait, so they run beside the others, and those
of the Docker engine run beside those of real models. Exits with 1 when a part failed; every part
runs to its end all the same.
"""

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

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
TURNS = (
    (Part("quick", "not (slow or real or slurm or nightly or gpu)", parallel=True),),
    (Part("slow", "slow and not (real or slurm or nightly)", parallel=True),),
    (Part("real", REAL, folder="tests/real"), Part("docker", REAL, without="tests/real")),
    (Part("nightly", "nightly"),),
)
"""One after another; two processes of pytest work in each."""
PARTS = tuple(chain(*TURNS))
SLURM = Part("slurm", "slurm and not nightly")
"""Runs beside the others: its jobs wait for a queue most of the time."""
GPU = Part("gpu", "gpu", folder="tests/gpu")
"""Runs by name alone: where there is a GPU, after all others."""


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
    start, results = time.monotonic(), []
    with ThreadPoolExecutor() as pool:
        wanted = SLURM.name in arguments.parts
        cluster = [pool.submit(_run, SLURM, arguments.pytest, show=False)] if wanted else []
        for turn in TURNS:
            parts = [part for part in turn if part.name in arguments.parts]
            beside = [pool.submit(_run, part, arguments.pytest, show=False) for part in parts[1:]]
            results += [_run(part, arguments.pytest) for part in parts[:1]] + _shown(beside)
        results += _shown(cluster)
    if GPU.name in arguments.parts:
        results.append(_run(GPU, ["-s", *arguments.pytest]))
    print(f"\n{'part':10} {'seconds':>8}  result")
    for result in results:
        print(f"{result.part.name:10} {result.seconds:8.0f}  {result.closing}")
    print(f"{'together':10} {time.monotonic() - start:8.0f}")
    left = [part.name for part in (*PARTS, SLURM, GPU) if part.name not in arguments.parts]
    if left:
        print(f"not run here: {', '.join(left)}; `make test-all` runs every part but gpu")
    print(_sum(results))
    # pytest's exit code 5: the selection holds no test.
    return int(any(result.code not in (0, 5) for result in results))


def _parse() -> argparse.Namespace:
    names = [*(part.name for part in PARTS), SLURM.name]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = [*names, GPU.name]
    told = f"of {', '.join(known)}; all but gpu"
    parser.add_argument("parts", nargs="*", metavar="PART", help=told)
    parser.add_argument("--pytest", default="", help="more options for pytest, in one word")
    arguments = parser.parse_args()
    arguments.pytest = arguments.pytest.split()
    arguments.parts = arguments.parts or names
    if unknown := set(arguments.parts) - set(known):
        parser.error(f"no part is called {sorted(unknown)[0]!r}; use {', '.join(known)}")
    return arguments


def _run(part: Part, more: list[str], show: bool = True) -> Result:
    # By files, in the order of tests/conftest.py; by itself xdist begins with those of most tests.
    shared = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"] if part.parallel else []
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


def _shown(running: list[Future[Result]]) -> list[Result]:
    """Results of parts that ran beside others, once they have ended and their output is shown."""
    results = [each.result() for each in running]
    for result in results:
        print(f"\n== {result.part.name}, which ran beside the others\n{result.output}", flush=True)
    return results


def _sum(results: list[Result]) -> str:
    """The counts of all parts, in the form of one pytest run."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", result.closing):
            counts["failed" if word == "error" else word] += int(number)
    return ", ".join(f"{number} {word}" for word, number in counts.items())


if __name__ == "__main__":
    sys.exit(main())
