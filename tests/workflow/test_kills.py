"""SIGKILL at random moments of a whole run, each followed by the same command: at the end all is as
a stranger makes it, whom nothing disturbs.

One moment here, as each takes twenty seconds; twenty at night.
"""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from matrix import artifacts, listed, prepared
from project import Project, end_group
from scripted import scripted_endpoint
from test_crashes import wait_for
from tiny import answers

from aiev.core.files import read_json

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
MANIFEST = "results/tiny/manifest.json"
LONGEST = 12.0
"""Seconds up to a kill: starting takes 3, and training, the longest job, more than these, so that a
run is not over before most kills."""


def processes_in(root: Path) -> list[int]:
    """Processes that work in `root`: Snakemake, its jobs, and what those started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").resolve() == root:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def kill(project: Project, after: float, whole: bool) -> bool:
    """Start the run and kill it `after` seconds; -> whether it was still at work. whole: with all
    its children, as when a machine stops; else Snakemake alone."""
    process = project.start("all")
    try:
        deadline = time.monotonic() + after
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        alive = process.poll() is None
        if alive and whole:
            os.killpg(process.pid, signal.SIGKILL)
        elif alive:
            process.kill()
        process.wait()
        return alive
    finally:
        end_group(process)
        process.stdout.close()


def leftovers(root: Path) -> list[str]:
    """Half-written files that a run left where users look."""
    places = [root / name for name in ("results", "resources", "ledger", ".aiev/made")]
    return [str(p) for place in places for p in place.rglob("*.part")]


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.nightly)])
def test_a_run_that_was_killed_is_the_run_that_a_stranger_makes(kills, tmp_path):
    """The stranger has the manifest and the packed answers, is never killed, asks nothing, and lets
    DeepSpeed train the student once more."""
    moments = random.Random(2)
    with scripted_endpoint(answers) as endpoint:
        project = prepared(tmp_path / "project", endpoint.url, tmp_path / "mirror")
        killed = 0
        for _ in range(kills):
            killed += kill(project, moments.uniform(1, LONGEST), moments.random() < 0.5)
        # At once, while jobs that lost their Snakemake may still be about.
        code, said = project.run("all", seconds=600)
        assert code == 0, said
        wait_for(lambda: not processes_in(project.root), seconds=10)
        assert artifacts(project) == listed(project)
        # A question cut off in mid-answer was not on record, and may have been put again.
        asked, used = project.entries(), answers_used(project)
        assert set(endpoint.answered) == set(asked) and len(asked) == len(used)
        assert endpoint.answered.total() <= len(asked) + 2 * killed
        assert not leftovers(project.root)
        code, said = project.run("all")
        assert code == 0 and "Nothing to be done" in said, said
        assert killed >= max(1, kills // 2), "the run was over before most kills"

        endpoint.forget()
        verified_elsewhere(project, tmp_path / "far/away")
        assert not endpoint.bodies


def answers_used(project: Project) -> set[str]:
    """Keys of the answers that the records of the finished jobs name."""
    records = [read_json(path) for path in (project.root / ".aiev/made").rglob("*.json")]
    return {key for record in records for key in record.get("remarks", {}).get("answers", ())}


def verified_elsewhere(project: Project, stranger: Path) -> None:
    """`aiev verify` in another checkout, which nothing was run in, from the manifest and the packed
    answers of the project."""
    packed = stranger.parent / "answers.jsonl.gz"
    for name in ("rules", "scripts", "config", "profiles", "envs", "code"):
        shutil.copytree(project.root / name, stranger / name)
    shutil.copyfile(project.root / "Snakefile", stranger / "Snakefile")
    shutil.copyfile(project.root / MANIFEST, stranger.parent / "theirs.json")
    code, said = project.aiev("ledger", "pack", str(packed), "--config", "tiny.yaml")
    assert code == 0, said
    options = ("--manifest", "../theirs.json", "--ledger", "../answers.jsonl.gz")
    code, said = project.aiev("verify", *options, root=stranger)
    assert code == 0 and "verified" in said, said
    assert "other actions" not in said, "the same keys in any place"
    assert not (stranger / ".aiev/verify").exists()
