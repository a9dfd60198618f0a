"""Mistakes of a user: told by name, without a traceback, and nothing that was made is lost."""

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest
from project import DIALOGUES, ROOT, TRAIN

pytestmark = pytest.mark.workflow


def test_a_bad_config(project, scripted):
    """Through Snakemake; tests/unit/config/test_load.py has the other mistakes."""
    project.config["dialogs"] = {}
    code, said = project.run()
    assert code != 0 and "Traceback" not in said
    told = ["unknown key", "where: tiny.yaml: dialogs", "did you mean 'dialogues'"]
    assert all(word in said for word in told), said
    project.dump = lambda config: "name: first\nname: second\n"
    code, said = project.run()
    assert code == 2 and "the key 'name' is given twice, first in line 1" in said, said
    assert "where: tiny.yaml, line 2" in said
    assert scripted.bodies == [] and not (project.root / ".aiev").exists()


def test_a_file_that_its_resource_does_not_declare(project):
    """Nor does the name of another resource's file name a thing to fetch."""
    code, said = project.run("resources/humaneval/SmolLM2-135M-Instruct.Q4_1.gguf", "-n")
    assert code == 2 and "no rule makes resources/humaneval/SmolLM2" in said, said
    assert "  hint: name a rule, or an output" in said and "Exception" not in said


def test_packages_that_are_not_the_pinned_ones(project, scripted):
    """A new lock and an old .venv: a run would name the new one beside what the old one made."""
    lock = project.root / "envs/lock.txt"
    lock.write_text(re.sub(r"(?m)^transformers==.*", "transformers==0.1", lock.read_text("utf-8")))
    code, said = project.run("results/tiny/seeds/000.jsonl")
    assert code == 2 and "is installed, and envs/lock.txt pins 0.1" in said, said
    assert "make -B .venv" in said and "Traceback" not in said
    assert not (project.root / "results").exists()
    code, said = project.run("results/tiny/seeds/000.jsonl", "-n")
    assert code == 0 and "mine_seeds" in said, said


def test_a_copied_config_that_kept_its_name(project):
    target = "results/tiny/seeds/000.jsonl"
    code, said = project.run(target)
    assert code == 0 and "same name" not in said, said
    shutil.copyfile(project.root / "tiny.yaml", project.root / "copy.yaml")
    code, said = project.aiev("run", "--config", "copy.yaml", "-n", target)
    assert code == 0 and "copy.yaml: results/tiny/ is of tiny.yaml" in said, said


@pytest.mark.slow
def test_bad_seeds_keep_what_was_made(project, scripted):
    """A source that cannot be decoded, one that is missing: one after another. tests/unit/seeds has
    the other mistakes."""
    assert project.run()[0] == 0
    kept = {name: project.digest(name) for name in (TRAIN, DIALOGUES)}
    scripted.forget()
    source = project.root / "code/functions.py"
    good = source.read_bytes()

    mistakes = [
        (lambda: source.write_bytes(b"x = '\xff'\n"), ["encoding-error", "code"]),
        (lambda: project.config["seeds"]["sources"][0].update(path="cod"), ["not exist", "cod"]),
    ]
    for make, told in mistakes:
        make()
        code, said = project.run("results/tiny/seeds/report.json", TRAIN)
        assert code != 0 and "Traceback" not in said, said
        assert all(word in said for word in told), said
        assert {name: project.digest(name) for name in kept} == kept, told
    project.config["seeds"]["sources"][0]["path"] = "code"
    source.write_bytes(good)
    code, said = project.run()
    assert code == 0, said
    assert {name: project.digest(name) for name in kept} == kept and scripted.bodies == []


@pytest.mark.parametrize(
    ("version", "told"), [((3, 9), "Python 3.11 or newer is needed"), (None, "no python-not-here")]
)
def test_a_python_that_is_too_old(version, told, tmp_path):
    """A Python of another version, as far as the Makefile can see."""
    for name in ("Makefile", "envs"):
        os.symlink(ROOT / name, tmp_path / name)
    python = "python-not-here"
    if version:
        (tmp_path / "old").write_text(
            '#!/bin/sh\n[ "$1" = -c ] || exit 9\n'
            f'exec python3 -c "import sys; sys.version_info = {(*version, 1)}; $2"\n'
        )
        (tmp_path / "old").chmod(stat.S_IRWXU)
        python = tmp_path / "old"
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0 and told in said and "PYTHON=" in said
    assert "Traceback" not in said and not (tmp_path / ".venv").exists()


def test_two_set_ups_at_once(tmp_path):
    for name in ("Makefile", "envs"):
        os.symlink(ROOT / name, tmp_path / name)
    command = ["make", ".venv", f"PYTHON={sys.executable}"]
    with open(tmp_path / ".venv.log", "a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "another make sets up .venv here" in done.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [(".aiev", "and a directory is needed"), (".aiev/run.json", "cannot write: Is a directory")],
)
def test_a_store_that_cannot_be_written_is_told_without_a_traceback(place, told, project):
    if place == ".aiev":
        (project.root / place).write_text("a file")
    else:
        (project.root / place).mkdir(parents=True)
    code, said = project.run("results/tiny/seeds/000.jsonl")
    assert code == 2 and told in said and place in said and "  hint: " in said
    assert "Traceback" not in said and 'File "' not in said
    # A dry run names a file in a directory's place too; it does not write to the other.
    code, said = project.run("results/tiny/seeds/000.jsonl", "-n")
    assert (code, told in said) == (2, True) if place == ".aiev" else "This was a dry-run" in said
