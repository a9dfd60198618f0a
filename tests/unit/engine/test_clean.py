"""`make clean` and runs exclude each other."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from aiev.engine.run_lock import LOCK, hold

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not shutil.which("flock"), reason="needs flock")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "Makefile", "Makefile")
    for name in ("results/a", ".aiev/actions/b", ".aiev/changed/c", "ledger/d", "resources/e"):
        Path(name).mkdir(parents=True)
    return tmp_path


def clean(path: str = os.environ["PATH"]) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": path}
    return subprocess.run(["make", "clean"], env=environment, capture_output=True, text=True)


def test_results_and_store_go_and_answers_stay(checkout):
    done = clean()
    assert done.returncode == 0, done.stderr
    assert {p.name for p in Path().iterdir()} == {"Makefile", ".aiev", "ledger", "resources"}
    assert {p.name for p in Path(".aiev").iterdir()} == {"changed", "lock"}


def test_nothing_goes_while_a_run_is_active(checkout):
    with hold(LOCK, "taken"):
        done = clean()
    assert done.returncode != 0 and f"pid {os.getpid()} on" in done.stdout
    assert Path("results/a").exists() and Path(".aiev/actions/b").exists()


def test_no_run_starts_while_files_go(checkout):
    """`rm` here first looks whether a run could take the lock."""
    Path("bin").mkdir()
    Path("bin/rm").write_text("#!/bin/sh\nflock -n .aiev/lock true || touch held\n")
    Path("bin/rm").chmod(stat.S_IRWXU)
    assert clean(f"{checkout}/bin:{os.environ['PATH']}").returncode == 0
    assert Path("held").exists()
