"""Snakemake's events as records, and the short message about a job that failed."""

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from aiev.core.errors import UserError
from aiev.core.log import last_error
from aiev.engine.events import DryRun, Reporter, jobs_in, read_events

LOG = """2026-11-29 19:11:19,120 I train: begins
2026-11-29 19:11:20,120 E train: out of memory
  where: training.micro_batch
  hint: lower it
2026-11-29 19:11:21,120 I train: stops
"""
JOB = {
    "rule_name": "train_student",
    "output": ["results/tiny/model", "results/tiny/model.sha256"],
    "log": ["train.log"],
    "aux": {},
    "shellcmd": "python train.py --params 'six kilobytes'",
}


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """What a user sees of a logger that has the screen."""
    monkeypatch.chdir(tmp_path)
    Path("train.log").write_text(LOG)
    logger, seen = logging.Logger("workflow"), []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())
    logger.addHandler(handler)
    logger.addFilter(Reporter(logger))
    return SimpleNamespace(log=logger.error, seen=seen)


def test_a_failed_job_shows_its_log_and_what_to_do_and_no_command(lines):
    lines.log("Error in rule train_student", extra={**JOB, "event": LogEvent.JOB_ERROR})
    (shown,) = lines.seen
    assert shown.startswith("train_student failed: results/tiny/model, results/tiny/model.sha256\n")
    assert "  log: train.log\n  hint: " in shown and "six kilobytes" not in shown


def test_the_command_is_not_shown_by_the_exception_either(lines):
    text = "RuleException:\nCalledProcessError in file x.smk:\nCommand 'python ...' returned ..."
    lines.log(text, extra={"event": LogEvent.ERROR, "exception": "RuleException"})
    assert lines.seen == []


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            {"event": LogEvent.ERROR, "exception": "WorkflowError"},
            "no key CalledProcessError",
        ),
        ({"event": LogEvent.ERROR, "exception": "RuleException"}, "a function of a rule failed"),
        ({"event": LogEvent.JOB_INFO}, "rule a"),
        ({}, "plain"),
    ],
)
def test_other_messages_stay(event, text, lines):
    lines.log(text, extra=event)
    assert lines.seen == [text]


def test_a_job_on_another_host_shows_the_error_in_its_log(lines):
    lines.log("", extra={**JOB, "aux": {"external_jobid": "7"}, "event": LogEvent.JOB_ERROR})
    error = "train: out of memory\n  where: training.micro_batch\n  hint: lower it\n"
    assert lines.seen[0].startswith(f"{error}train_student failed")
    Path("train.log").unlink()
    lines.log("", extra={**JOB, "aux": {"external_jobid": "7"}, "event": LogEvent.JOB_ERROR})
    assert lines.seen[1].startswith("no error in its log: it was killed")


def test_what_slurm_says_of_a_job_is_shown_with_both_logs(lines):
    said = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'."
    logs = ["train.log", "/slurm_logs/rule_train/7.log"]
    event = {
        "rule_msg": f"{said}For further error details see the log.",
        "aux": {"external_jobid": "7"},
        "log": logs,
    }
    Path("train.log").unlink()
    lines.log("", extra={**JOB, **event, "event": LogEvent.JOB_ERROR})
    (shown,) = lines.seen
    failed, *rest = shown.splitlines()
    assert failed.startswith("train_student failed: ") and "six kilobytes" not in shown
    assert rest[:2] == [f"  {said}", "  log: train.log, /slurm_logs/rule_train/7.log"]


def test_what_slurm_did_not_take_shows_why_and_no_command(lines):
    said = "SLURM sbatch failed. The error message was 'sbatch: error: no such partition'."
    text = f"{said}\n    sbatch call:\n        sbatch --wrap='six kilobytes'\n"
    lines.log("", extra={**JOB, "rule_msg": text, "event": LogEvent.JOB_ERROR})
    assert f"\n  {said}\n  log: " in lines.seen[0] and "six kilobytes" not in lines.seen[0]


def test_each_job_of_a_group_is_shown(lines):
    jobs = [JOB, {**JOB, "rule_name": "other"}]
    lines.log("", extra={"job_error_info": jobs, "event": LogEvent.GROUP_ERROR})
    assert [text.split()[0] for text in lines.seen] == ["train_student", "other"]


def test_a_group_in_slurm_is_shown_once_with_its_number_and_slurms_log(lines):
    job = {**JOB, "aux": {"external_jobid": "7"}, "indent": True}
    group = {"job_error_info": [job], "aux_logs": ["/slurm_logs/group/7.log"]}
    lines.log("", extra={**group, "event": LogEvent.GROUP_ERROR})
    lines.log("", extra={**job, "aux": {}, "event": LogEvent.JOB_ERROR})
    (shown,) = lines.seen
    assert "  job 7 of the cluster\n  log: train.log, /slurm_logs/group/7.log\n" in shown


def test_the_last_error_of_a_log(tmp_path):
    (tmp_path / "log").write_text(LOG)
    assert last_error(tmp_path / "log").splitlines()[0] == "train: out of memory"
    (tmp_path / "log").write_text(LOG.replace(" E ", " W "))
    assert last_error(tmp_path / "log") == last_error(tmp_path / "none") == ""


SNAKEFILE = """
import logging, sys
from snakemake.logging import logger
from aiev.engine.events import Reporter

logger.addFilter(Reporter(logger, "events.jsonl"))

rule made:
    output: "made/{name}"
    log: "{name}.log"
    resources: gpu=2
    shell: "touch {output}"

rule fails:
    input: "made/a"
    output: "never"
    log: "never.log"
    shell: "echo a-very-long-command >{log}; exit 3"
"""


def snakemake(place: Path, *words: str) -> subprocess.CompletedProcess:
    (place / "Snakefile").write_text(SNAKEFILE)
    command = [Path(sys.executable).parent / "snakemake", "--cores", "1", "--nocolor", *words]
    scripts = str(Path(__file__).parents[3] / "scripts")
    return subprocess.run(
        command,
        cwd=place,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": scripts, "PATH": PATH},
    )


PATH = "/usr/bin:/bin"


def test_the_events_of_snakemake_itself(tmp_path):
    """A dry run, then a run whose job fails: the fields that the rest relies on are there."""
    assert snakemake(tmp_path, "never", "--dry-run").returncode == 0
    events = read_events(tmp_path / "events.jsonl")
    made, fails = sorted(jobs_in(events, "job_info"), key=lambda job: job.rule, reverse=True)
    assert made.outputs() == ["made/a"] and made.wildcards() == {"name": "a"}
    assert made.event["resources"]["gpu"] == "2" and "Missing output" in made.event["reason"]
    assert made.event["shellcmd"] == "touch made/a" and fails.wildcards() == {}

    (tmp_path / "events.jsonl").unlink()
    done = snakemake(tmp_path, "never")
    said = done.stdout + done.stderr
    assert done.returncode and "fails failed: never\n  log: never.log\n" in said
    assert "a-very-long-command" not in said
    (failed,) = jobs_in(read_events(tmp_path / "events.jsonl"), "job_error")
    assert failed.rule == "fails" and failed.event["log"] == ["never.log"]

    assert snakemake(tmp_path, "nothing-makes-this", "--dry-run").returncode
    done = DryRun(1, "text", read_events(tmp_path / "events.jsonl"))
    assert done.failed_with("MissingRuleException") and not done.failed_with("Other")
    with pytest.raises(UserError, match="cannot be planned") as caught:
        done.jobs()
    assert "correct what Snakemake names" in caught.value.hint


def test_a_log_without_events_makes_no_file(tmp_path):
    assert read_events(tmp_path / "none.jsonl") == []
    logger = logging.Logger("workflow")
    logger.addFilter(Reporter(logger, str(tmp_path / "some.jsonl")))
    logger.error("no event")
    assert not (tmp_path / "some.jsonl").exists()
