"""One run in a directory: the lock lives as long as its process and not longer."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from aiev.core.files import read_json
from aiev.engine.run_lock import note_exit, noted_exit, only_looks, only_writer
from aiev.engine.run_record import RUN as RUN_NAME

SCRIPTS = Path(__file__).parents[3] / "scripts"
RUN = """
import os, sys, time
from aiev.core.errors import UserError
from aiev.engine.run_lock import guard_directory
try:
    guard_directory(os.environ.get("MAIN", "1") == "1", "looks" in sys.argv)
except UserError as error:
    print(str(error).replace(chr(10), " "), flush=True)
    sys.exit(2)
print("guards", os.environ["AIEV_WORKFLOW"], flush=True)
if "wait" in sys.argv:
    time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    """Start a run in one directory; the first line that it says is `.said`."""
    started = []

    def run(*arguments: str, directory: Path = tmp_path, main: str = "1"):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), "MAIN": main},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        process.said = process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_second_run_is_refused_while_the_first_lives(start):
    first = start("wait")
    assert first.said.startswith("guards")
    for _ in range(2):
        second = start()
        assert f"another run is active in this directory (process {first.pid} on " in second.said
        assert ".aiev/lock" in second.said and "wait for it" in second.said
        assert second.wait() == 2
    first.send_signal(signal.SIGTERM)
    first.wait()
    assert start().said.startswith("guards")


def test_a_killed_run_is_no_obstacle(start, tmp_path):
    first = start("wait")
    first.kill()
    first.wait()
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    assert start().said.startswith("guards")
    assert list(locks.iterdir()) == [], "Snakemake's own lock of the killed run is stale"


def test_a_living_run_s_locks_are_left_alone(start, tmp_path):
    start("wait")
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    start()
    assert len(list(locks.iterdir())) == 1


LOOKING = [
    *("-n", "-np", "-npR mine_seeds", "-nc2", "-nj 4", "-npU x", "-nFq", "--dry-run", "--dryr"),
    *("--dryrun --cores 1", "--executor dryrun", "-e dryrun -c1", "--lint", "-l", "--lt"),
    *("--summary", "-S", "-D", "--detailed-summary", "--report x.html", "--report=x.html"),
    *(
        "--dag",
        "--dag=dot",
        "--rulegraph",
        "--d3dag",
        "--filegraph",
        "--lc code",
        "--li",
        "--lp",
        "--lu",
    ),
    *("--print-compilation", "--unlock", "--list-conda-envs", "--containerize"),
    *("--delete-all-output -n", "--touch -n"),
]
RUNNING = [
    *("-c1", "--cores 2 -p -R mine_seeds", "--touch -c1", "n -c1"),
    *("--delete-all-output", "--delete-temp-output", "--cleanup-metadata x", "--archive x.tar.gz"),
    *("--report x.html --report-after-run", "--config dryrun=true -c1", "-c1 --until n"),
]


def parsed(words: str) -> dict:
    return vars(parse_args(words.split())[1])


@pytest.mark.parametrize("words", LOOKING)
def test_a_run_that_only_looks_is_recognised(words):
    assert only_looks(parsed(words))


@pytest.mark.parametrize("words", RUNNING)
def test_a_run_that_makes_or_removes_something_is_recognised(words):
    assert not only_looks(parsed(words))


def test_a_dry_run_in_a_profile_is_seen(tmp_path):
    (tmp_path / "config.yaml").write_text("dry-run: true\n")
    assert only_looks(parsed(f"--profile {tmp_path} -c1"))


def test_a_run_that_only_looks_needs_no_lock_and_takes_none(start, tmp_path):
    start("looks", "wait")
    assert not (tmp_path / ".aiev").exists()
    start("wait")
    assert start("looks").said.startswith("guards")


def test_jobs_of_a_run_are_no_second_run(start):
    start("wait")
    assert start(main="0").said.startswith("guards")


def test_another_directory_is_another_matter(start, tmp_path):
    start("wait")
    (tmp_path / "other").mkdir()
    assert start(directory=tmp_path / "other").said.startswith("guards")


def test_jobs_know_the_process_that_started_them(start):
    run = start("wait")
    assert run.said.split()[1].startswith(f"{run.pid}:")


def test_a_run_ends_with_the_exit_code_of_its_own_jobs_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN_NAME, "1:2")
    assert noted_exit() == 1
    note_exit(4)
    assert noted_exit() == 4
    monkeypatch.setenv(RUN_NAME, "1:3")
    assert noted_exit() == 1, "of a run before"


def test_a_job_of_a_run_that_another_has_followed_ends(start, tmp_path, monkeypatch):
    monkeypatch.delenv(RUN_NAME, raising=False)
    start()
    newest = read_json(tmp_path / ".aiev/run.json")["run"]
    monkeypatch.setenv(RUN_NAME, newest)
    assert start(main="0").said.startswith("guards")
    monkeypatch.setenv(RUN_NAME, "another:1:2")
    late = start(main="0")
    assert f"superseded: run {newest} began after run another:1:2" in late.said
    assert late.wait() == 2


def test_a_file_has_one_writer_at_a_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".aiev").mkdir()
    order = []

    def write(name: str) -> None:
        with only_writer([Path("a"), Path("b")], every=0.01):
            order.append(f"{name} begins")
            time.sleep(0.1)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line[2:] for line in order] == ["begins", "ends"] * 3
    assert list((tmp_path / ".aiev/writing").iterdir()) == []
