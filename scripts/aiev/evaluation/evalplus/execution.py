"""Runs one solution on a task's inputs in a sandbox of its own, and takes home what it returned.

The solution's sandbox holds the inputs and nothing else of the task: what is right is not in there,
and neither is another task.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, isfinite
from pathlib import Path

from aiev.core.files import module_path
from aiev.evaluation.evalplus.inside.values import LONG
from aiev.sandbox.request import Limits, Request, Result, Sandbox

RUN_SOLUTION = module_path("aiev.evaluation.evalplus.inside.run_solution").read_text("utf-8")
VALUES = module_path("aiev.evaluation.evalplus.inside.values").read_text("utf-8")
"""Programs that run in the sandbox."""

PACKAGES = "/opt/solution"
MAX_PHASE_SECONDS = 60
"""EvalPlus's own limit for all inputs of a phase together; here of CPU time."""
LINES_MIB, WHOLE_MIB = 64, 512
"""Room for what a solution returns in a phase, of long values the digests; and for one of them
whole."""
WALL_FACTOR, WALL_SECONDS = 8, 120
"""The wall clock is only there for a solution that stops its own observer."""


@dataclass(frozen=True)
class Phase:
    """Inputs of a task, as lines of `values`, and the limits under which they are run.

    limits: CPU seconds of each input. cpu_seconds: of all. whole: number of the input whose value
    is handed back whole, though it is long: up to `whole_chars` of its line.
    """

    inputs: Sequence[str]
    limits: Sequence[float]
    cpu_seconds: int
    whole: int | None = None
    whole_chars: int = WHOLE_MIB << 20

    @property
    def mib(self) -> int:
        """Room for what is returned."""
        return LINES_MIB + (0 if self.whole is None else ceil(self.whole_chars / (1 << 20)))


@dataclass(frozen=True)
class Seen:
    """What a solution did in a phase.

    outcome: passed when every input was answered, else how it ended.
    seconds: CPU time. times: CPU seconds of each answered input; lines: what it returned, or "#"
    and the digest of a long line.
    """

    outcome: str
    seconds: float
    times: tuple[float, ...]
    lines: tuple[str, ...]


def phase(inputs: Sequence[str], limits: Sequence[float], slower: float = 1.0) -> Phase:
    """A phase under EvalPlus's limit for all inputs together, on a machine slower by a factor."""
    return Phase(inputs, limits, ceil(min(slower * MAX_PHASE_SECONDS, sum(limits))) + 1)


def run(
    source: str,
    entry_point: str,
    returns: str,
    phases: Mapping[str, Phase],
    sandbox: Sandbox,
    memory_mib: int,
) -> tuple[dict[str, Seen] | None, Result]:
    """Run a solution; -> what was seen in each phase, None when the run itself was broken off."""
    task = {
        "entry_point": entry_point,
        "returns": returns,
        "phases": {
            name: {
                "limits": list(each.limits),
                "cpu_seconds": each.cpu_seconds,
                "max_bytes": each.mib << 20,
                "whole": each.whole,
                "whole_chars": each.whole_chars,
            }
            for name, each in phases.items()
        },
    }
    files: dict[str, str | bytes] = {
        "run_solution.py": RUN_SOLUTION,
        "values.py": VALUES,
        "task.json": json.dumps(task),
        "solution.py": source.encode("utf-8", "surrogatepass"),
    }
    files |= {f"inputs.{name}.jsonl": "".join(each.inputs) for name, each in phases.items()}
    outputs = {name: f"outputs.{name}.jsonl" for name in phases}
    result = sandbox.run(
        Request(
            files=files,
            command=("python", "run_solution.py"),
            limits=_limits(phases.values(), files, memory_mib),
            environment={"PYTHONPATH": PACKAGES},
            mounts=packages(),
            collect=("ends.json", *outputs.values()),
        )
    )
    return _seen(result, outputs, phases), result


def packages() -> dict[str, Path]:
    """NumPy, which solutions may import where EvalPlus runs, with its libraries."""
    spec = find_spec("numpy")
    if spec is None or not spec.origin:
        return {}
    folder = Path(spec.origin).parent
    found = {f"{PACKAGES}/numpy": folder}
    libraries = folder.with_name("numpy.libs")
    return found | ({f"{PACKAGES}/numpy.libs": libraries} if libraries.is_dir() else {})


def _limits(phases, files: Mapping[str, str | bytes], memory_mib: int) -> Limits:
    cpu = sum(each.cpu_seconds for each in phases)
    output_mib = sum(each.mib for each in phases)
    return Limits(
        wall_seconds=WALL_SECONDS + WALL_FACTOR * cpu,
        cpu_seconds=cpu + 10,
        memory_mib=memory_mib,
        file_mib=output_mib + 1,
        disk_mib=output_mib + (sum(map(len, files.values())) >> 18) + 16,
    )


OUTCOMES = frozenset({"passed", "failed", "timed-out", "output-cut", "out-of-memory", "crashed"})


def _seen(
    result: Result, outputs: Mapping[str, str], phases: Mapping[str, Phase]
) -> dict[str, Seen] | None:
    """What the files say; None where the observer did not write its own, or nothing sensible: the
    solution can write to them too."""
    try:
        ends = json.loads(result.files["ends.json"])
        return {
            name: _phase(ends[name], result.files.get(file, b""), phases[name])
            for name, file in outputs.items()
        }
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _phase(end: Mapping[str, object], output: bytes, phase: Phase) -> Seen:
    """Raises ValueError for what the observer cannot have written."""
    pairs = [line.split(" ", 1) for line in output.decode("utf-8").split("\n")[:-1]]
    times, lines = tuple(float(each) for each, _ in pairs), tuple(line for _, line in pairs)
    outcome, seconds = str(end["outcome"]), float(end["seconds"])
    if outcome not in OUTCOMES or not all(map(isfinite, (seconds, *times))):
        raise ValueError("no outcome")
    most = {phase.whole: phase.whole_chars}
    if any(len(line) > most.get(number, LONG) for number, line in enumerate(lines)):
        raise ValueError("a line that is too long")
    return Seen(outcome, seconds, times, lines)
