"""A file where a run needs a directory: every command says so, and none shows a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, aiev_here, environment

from aiev.core.errors import UserError
from aiev.engine.directories import DIRECTORIES, check_directories

PLACES = (*DIRECTORIES, "results/laptop", "ledger")
SOURCES = ("Snakefile", "rules", "scripts", "config", "envs")


@pytest.fixture
def checkout(tmp_path):
    """A checkout in which nothing was run."""
    for name in SOURCES:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def put_file(root: Path, place: str) -> None:
    path = root / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")


def check(done: subprocess.CompletedProcess, place: str, root: Path) -> None:
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert f"{place} is a file, and a directory is needed\n  where: " in output
    hint = "set execution.ledger.path to" if place == "ledger" else f"move {place} away"
    assert f"hint: {hint}" in output and "Traceback" not in output
    assert (root / place).read_text() == "mine"


@pytest.mark.parametrize("place", PLACES)
def test_the_directories_of_a_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_directories("laptop", "ledger")
    put_file(tmp_path, place)
    with pytest.raises(UserError, match=f"{place} is a file, and a directory is needed") as caught:
        check_directories("laptop", "ledger")
    in_config = caught.value.where == "config: execution.ledger.path"
    assert in_config == (place == "ledger") and list(tmp_path.iterdir())
    hint = "set execution.ledger.path to a directory" if in_config else f"move {place} away"
    assert caught.value.hint.startswith(hint), "a file that the config names by mistake stays"


def test_a_link_to_nothing_and_a_file_on_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("gone", "results")
    with pytest.raises(UserError, match="results is a link to nothing"):
        check_directories()
    (tmp_path / "gone").mkdir()
    check_directories()
    (tmp_path / "answers").write_text("")
    with pytest.raises(UserError, match="answers is a file"):
        check_directories(ledger="answers/of/mine")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        *((["run"], ".snakemake"), (["run"], "results"), (["plan"], "results/laptop")),
        *((["plan"], "ledger"), (["costs"], "ledger"), (["gc"], ".aiev")),
    ],
    ids=repr,
)
def test_a_command_names_the_file(words, place, checkout):
    put_file(checkout, place)
    check(aiev_here(*words, root=checkout), place, checkout)


@pytest.mark.parametrize("place", [".snakemake", "ledger"])
def test_a_dry_run_names_the_file(place, checkout):
    put_file(checkout, place)
    snakemake = Path(sys.executable).parent / "snakemake"
    command = [str(snakemake), "--cores", "1", "--dry-run", "--nocolor"]
    done = subprocess.run(
        command, cwd=checkout, env=environment(checkout), capture_output=True, text=True
    )
    check(done, place, checkout)
