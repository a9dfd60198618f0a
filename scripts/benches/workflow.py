"""What the workflow itself costs: a run that has nothing to do, and large ones that are planned."""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from aiev.core.errors import UserError
from aiev.core.files import write_json
from benches import report

ROOT = Path(__file__).parents[2]
CODE = ("Snakefile", "rules", "scripts", "config", "profiles", "envs")
SHARDS = 10_000
PAPER = ((372, 500), (93, 2000))
"""Shards, and seeds of each, that make the paper's 186,000; the largest plan comes first."""
PAPER_ROUND = 2000
TIMES = 5

ONE_RULE = """
rule all:
    output: "out.txt"
    shell: "touch {output}"
"""

BARE = """


def code(script, modules):
    return ""


def begin():
    pass
"""
"""Put behind rules/common.smk, this leaves the rules as they are without our layer."""


def noop() -> None:
    """A run of the finished pipeline, to a run of one finished rule; seconds of a core."""
    finished = [ROOT / "results/laptop/manifest.json", ROOT / ".aiev/made"]
    if not all(path.exists() for path in finished):
        raise UserError("there is no finished run to run again", hint="make run, then this again")
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder)
        (peer / "Snakefile").write_text(ONE_RULE)
        (peer / "out.txt").touch()
        _nothing_to_do(ROOT)  # reads once what the last run wrote
        ours = median(_seconds(lambda: _nothing_to_do(ROOT)) for _ in range(TIMES))
        theirs = median(_seconds(lambda: _nothing_to_do(peer)) for _ in range(TIMES))
    report("noop", ours, "s", "a Snakefile of one rule", theirs, theirs / ours)


def dag_10000() -> None:
    """A dry run with 10,000 shards, to the same rules without our layer; seconds of a core."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _planned(Path(folder), SHARDS, dialogues=12 * SHARDS)
    report("dag_10000", seconds[0], "s", "the same rules bare", seconds[1], seconds[1] / seconds[0])


def dag_186000() -> None:
    """The same for as many seeds as the paper has, over all its rounds; the memory of it, and the
    outputs that its jobs declare (what else a job leaves on disk is in docs/cluster.md)."""
    most = 0.0
    for shards, each in PAPER:
        rounds = {"count": shards * each // PAPER_ROUND, "dialogues": PAPER_ROUND}
        with tempfile.TemporaryDirectory() as folder:
            ours, bare = _planned(Path(folder), shards, per_shard=each, **rounds)
            # Of the largest of all that were planned, before anything else is asked of Snakemake.
            most = most or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
            files, jobs = _outputs(Path(folder) / "ours")
        report(f"dag_{shards}x{each}", ours, "s", "the same rules bare", bare, bare / ours)
        report(f"dag_{shards}x{each}_outputs", files, "outputs", "jobs", jobs, jobs / files)
    report("dag_186000_memory", most, "MiB", "1 GiB", 2**10, 2**10 / most)


def _planned(folder: Path, shards: int, **sizes: int) -> list[float]:
    """Seconds of a core for the dry run of a large project, and of the same rules bare."""
    ours, bare = (_large(folder / name, shards, **sizes) for name in ("ours", "bare"))
    common = bare / "rules/common.smk"
    text = common.read_text("utf-8")
    for call in ("guard_directory(", "quarantine_changed(", "check_unrecorded("):
        text = text.replace(f"    {call}", f"    pass  # {call}")
    common.write_text(text + BARE, "utf-8")
    return [_seconds(lambda place=place: _plan(place, shards)) for place in (ours, bare)]


def _large(place: Path, shards: int, dialogues: int, per_shard: int = 12, count: int = 1) -> Path:
    """A project in `place` with many shards of seeds, and `count` rounds of `dialogues` each."""
    for name in CODE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, place / name)
    (place / "seeds").mkdir()
    (place / "seeds/a.py").write_text("x = 1\n")
    teacher = {"kind": "openai", "name": "some-teacher"}
    source = {"kind": "directory", "path": "seeds", "licence": "MIT"}
    config = {
        "name": "large",
        "models": {"teacher": teacher},
        "seeds": {"sources": [source], "shards": shards, "per_shard": per_shard},
        "rounds": {"dialogues": dialogues, "count": count},
    }
    write_json(place / "large.json", config)
    return place


def _plan(place: Path, shards: int) -> None:
    said = _snakemake(place, "--configfile", "large.json", "--dry-run", "--quiet", "rules")
    if not re.search(rf"^write_dialogues +{shards}$", said, re.MULTILINE):
        raise RuntimeError(said[-2000:])


def _outputs(place: Path) -> tuple[int, int]:
    """Files and directories that a run would make, and the jobs that would make them."""
    said = _snakemake(place, "--configfile", "large.json", "--dry-run", "--quiet", "rules")
    jobs = int(re.search(r"^total +(\d+)$", said, re.MULTILINE)[1])
    said = _snakemake(place, "--configfile", "large.json", "--summary")
    return sum(line.startswith("results/") for line in said.splitlines()), jobs


def _nothing_to_do(place: Path) -> None:
    said = _snakemake(place)
    if "Nothing to be done" not in said:
        raise UserError("the run had something to do", where=str(place), hint="make run first")


def _snakemake(place: Path, *options: str) -> str:
    command = [str(Path(sys.executable).parent / "snakemake"), "--cores", "1", *options]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    return done.stdout + done.stderr


def _seconds(work: Callable[[], None]) -> float:
    """Processor time of what `work` starts and waits for: a busy machine adds little to it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
