"""What a run began with: written down once, and compared by each of its jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.engine.codehash import Sources, code_digest
from aiev.engine.environment import environment
from aiev.engine.run_record import (
    RUN,
    Record,
    check_unchanged,
    input_digests,
    newest_run,
    note_config,
    other_config,
    recorded_code,
    rules_digest,
    write_record,
)

SCRIPTS = Path(__file__).parents[3] / "scripts"
MAIN = """
from aiev.engine.job import run_job
import helper


def main(job):
    job.output("made").write_text(job.input("source").read_text() + helper.WORD)


run_job(main, inputs=("source",), outputs=("made",))
"""


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A directory where a run has begun, with one main, a module and an input of its sources."""
    monkeypatch.chdir(tmp_path)
    Path("work.py").write_text(MAIN)
    Path("helper.py").write_text("WORD = 'one'\n")
    Path("config").mkdir()
    Path("config/zero.json").write_text("{}")
    code = {"work": recorded_code(Sources(tmp_path), tmp_path / "work.py", ())}
    write_record(Record("run:1", {}, "", environment(), code, input_digests(tmp_path)))
    return tmp_path


def test_a_copied_config_that_kept_its_name_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = Path("config.yaml"), Path("mine.yaml")
    for path in (first, second):
        path.touch()
    assert not [*other_config("laptop", first)], "no run yet"
    note_config("laptop", first)
    assert not [*other_config("laptop", first)] and not [*other_config("laptop", first.absolute())]
    assert not [*other_config("mine", second)]
    (told,) = other_config("laptop", second)
    assert told.startswith("mine.yaml: results/laptop/ is of config.yaml")
    note_config("laptop", second)
    assert not [*other_config("laptop", second)], "told once"
    first.unlink()
    note_config("laptop", first)
    assert not [*other_config("laptop", second)], "it was renamed"
    Path(".aiev/configs.json").write_text("[]")
    assert not [*other_config("laptop", second)]


def job(place: Path, run: str = "run:1") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "work.py", "--source", "config/zero.json", "--made", "out.txt"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), RUN: run},
        capture_output=True,
        text=True,
    )


def test_a_job_whose_sources_are_as_they_were_works(started):
    assert job(started).returncode == 0
    assert (started / "out.txt").read_text() == "{}one"


@pytest.mark.parametrize(
    ("path", "text", "where"),
    [
        ("helper.py", "WORD = 'two'\n", "work"),
        ("config/zero.json", "{ }", "config/zero.json"),
    ],
)
def test_a_job_whose_own_sources_changed_ends_and_says_what_to_do(path, text, where, started):
    (started / path).write_text(text)
    done = job(started)
    assert done.returncode == 2 and not (started / "out.txt").exists()
    assert f"the sources changed since the run began\n  where: {where}\n" in done.stderr
    assert "run the same command again" in done.stderr


def test_a_job_whose_own_code_did_not_change_goes_on(started):
    (started / "another.py").write_text("x = 1\n")
    (started / "helper.py").write_text("# why\nWORD = 'one'\n")
    (started / "config/more.json").write_text("{}")
    assert job(started).returncode == 0


def test_a_job_of_an_older_run_ends(started):
    done = job(started, "run:0")
    assert done.returncode == 2 and "superseded: run run:1 began after run run:0" in done.stderr


def test_a_claim_about_another_script_s_code_is_not_believed(started):
    """The digest of one main says nothing about another."""
    other = code_digest(started / "helper.py")
    write_record(Record("run:1", code={"work": other}, environment=environment()))
    assert "the sources changed" in job(started).stderr


def test_a_damaged_record_counts_as_no_run(started):
    (started / ".aiev/run.json").write_text("{")
    assert newest_run() is None
    (started / ".aiev/run.json").write_text('{"more": 1}')
    assert newest_run() is None


def test_the_rules_digest_follows_their_text(tmp_path):
    (tmp_path / "rules").mkdir()
    for name in ("Snakefile", "rules/a.smk"):
        (tmp_path / name).write_text("rule a:\n")
    before = rules_digest(tmp_path)
    (tmp_path / "rules/a.smk").write_text("rule b:\n")
    assert rules_digest(tmp_path) != before


def test_only_what_the_run_knew_is_compared():
    check_unchanged({"a": "1"}, {"a": "1", "b": "2"})
    with pytest.raises(UserError, match="changed since the run began") as caught:
        check_unchanged({"a": "1", "b": "1"}, {"a": "2", "b": "1"})
    assert caught.value.where == "a"
