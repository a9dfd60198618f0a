"""Servers that die and runs that are killed: the same command goes on, and asks nothing twice."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from project import DIALOGUES, TRAIN, end_group
from scripted import CLOSE

from aiev.core.process import identity

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def wait_for(condition, process=None, seconds=60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_complete(project, scripted, undisturbed) -> None:
    """The run is as if nothing had happened; only a question cut off in mid-answer, whose answer
    never was on record, may have been put again."""
    dialogues, asked = undisturbed
    assert project.file(DIALOGUES) == dialogues
    assert set(project.entries()) == asked


def test_a_server_that_dies_in_mid_run(project, scripted, undisturbed):
    script = scripted.script

    def dies(body):
        if len(scripted.answered) < 8:
            return script(body)
        threading.Thread(target=scripted.die).start()
        return CLOSE

    scripted.script = dies
    code, said = project.run()
    assert code != 0 and "Traceback" not in said
    assert "the model scripted does not answer: APIConnectionError" in said
    assert scripted.url in said and "run the same command" in said
    assert (project.root / "results/tiny/seeds/000.jsonl").exists()
    assert not (project.root / DIALOGUES).exists()
    assert len(project.entries()) >= 8

    scripted.script = script
    scripted.live()
    code, said = project.run()
    assert code == 0, said
    check_complete(project, scripted, undisturbed)
    assert set(scripted.answered.values()) == {1}, "an answered question was asked again"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_kills_at_any_moment(number, project, scripted, undisturbed):
    """The whole run, Snakemake and its jobs, at three moments of its course; then once in peace."""
    scripted.delay = 0.05
    moments = random.Random(1)
    counts: dict[str, int] = {}
    for least in (1, 4, 9):
        # Some answers more than before, and then at any moment of the next ones.
        process = project.start()
        try:
            wait_for(lambda least=least: len(scripted.bodies) >= least, process)
            time.sleep(moments.uniform(0, 0.2))
            os.killpg(process.pid, number)
            said, _ = process.communicate(timeout=30)
        finally:
            end_group(process)
        assert process.returncode != 0
        assert number is signal.SIGKILL or "Traceback" not in said, said
        wait_for(lambda: scripted.busy == 0)
        recorded = set(project.entries())
        assert set(counts) <= recorded, "an answer on record is never lost"
        for key in recorded:
            counts.setdefault(key, scripted.answered[key])
    assert counts
    code, said = project.run()
    assert code == 0, said
    check_complete(project, scripted, undisturbed)
    asked_again = {key for key, count in counts.items() if scripted.answered[key] != count}
    assert not asked_again, "a question was asked whose answer was on record"


def test_a_killed_snakemake_takes_its_jobs_along(project, scripted, undisturbed):
    scripted.delay = 0.3
    process = project.start()
    try:
        wait_for(lambda: scripted.bodies, process)
        jobs = job_processes(project.root)
        assert jobs
        process.kill()
        process.wait()
        start = time.monotonic()
        wait_for(lambda: not any(map(identity, jobs)), seconds=10)
        assert time.monotonic() - start < 5
    finally:
        if process.poll() is None:
            end_group(process)
        process.stdout.close()
    scripted.delay = 0
    code, said = project.run()
    assert code == 0, said
    check_complete(project, scripted, undisturbed)


def job_processes(root: Path) -> list[int]:
    """Processes that work in `root` and run one of its scripts."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            if b"scripts/write_dialogues.py" in command and (place / "cwd").resolve() == root:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_two_runs_in_one_directory(project, scripted, undisturbed):
    release = threading.Event()
    script = scripted.script

    def held(body):
        release.wait(60)
        return script(body)

    scripted.script = held
    # The questions are held while two more programs start: that is no time-out.
    project.config["execution"]["models"]["teacher"]["timeout_seconds"] = 100
    process = project.start()
    try:
        wait_for(lambda: scripted.bodies, process)
        code, said = project.run()
        assert code != 0 and "another run is active in this directory" in said
        assert str(process.pid) in said and "Traceback" not in said
        code, said = project.run("--dry-run", TRAIN)
        assert code == 0, said
        release.set()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    finally:
        release.set()
        end_group(process)
    check_complete(project, scripted, undisturbed)
    assert set(scripted.answered.values()) == {1}
