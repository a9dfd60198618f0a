"""What Snakemake reports, as records instead of text: jobs that it would start, jobs that failed.

The workflow attaches these to Snakemake's own logger (rules/common.smk). A logger plugin could do
the same, but Snakemake finds one only if it is installed as a package of its own name, and then
only where the command line or a profile asks for it. Events and their fields are those of
snakemake_interface_logger_plugins, which is what a plugin would see.
"""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiev.core.errors import UserError
from aiev.core.log import last_error

EVENTS = "AIEV_EVENTS"
"""Environment variable that names the file which is to hold a workflow's events, one a line."""

FIELDS = ("rule_name", "output", "log", "wildcards", "reason", "shellcmd", "exception")
NO_RULE = re.compile(r"No rule to produce (.*?) \(if you use input functions", re.DOTALL)
"""What Snakemake says of a target that nothing makes."""
UNASKED = re.compile(r"\s*(sbatch call:|For further error details see)")
"""What follows the word of an executor about a failed job: its command, and a general hint."""


class Reporter(logging.Filter):
    """Writes Snakemake's events to a file, and puts a short message in place of Snakemake's own
    about a job that failed, which shows the whole command with every parameter. Ends the process
    with a user's mistake where a target has no rule.

    logger: Snakemake's, which has this filter. events: the file, as JSON Lines; None for none.
    """

    def __init__(self, logger: logging.Logger, events: str | None = None):
        super().__init__()
        self._logger, self._events = logger, events

    def filter(self, record: logging.LogRecord) -> bool:
        event = str(getattr(record, "event", ""))
        if event and self._events:
            self._write(event, record)
        # Snakemake repeats each job of a group that failed, without its number and Slurm's log.
        if event == "job_error" and not getattr(record, "indent", False):
            self._logger.error(failure(vars(record)))
        elif event == "group_error":
            for job in record.job_error_info:
                logs = [*job["log"], *getattr(record, "aux_logs", ())]
                self._logger.error(failure({**job, "log": logs}))
        unknown = NO_RULE.search(record.getMessage()) if event == "error" else None
        if unknown:
            hint = "name a rule, or an output of the run; `aiev run --dry-run` lists both"
            self._logger.error(str(UserError(f"no rule makes {unknown[1]}", hint=hint)))
            sys.exit(UserError.exit_code)  # Snakemake's own is 1
        # What follows is a job's command that ended with an error, and the job's error is shown.
        repeats = event == "error" and record.exception == "RuleException"
        repeats = repeats and "CalledProcessError" in record.getMessage()
        return not (unknown or repeats or event in ("job_error", "group_error"))

    def _write(self, event: str, record: logging.LogRecord) -> None:
        found = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        resources = getattr(record, "resources", None)
        if resources is not None:
            found["resources"] = {n: str(value) for n, value in resources.items()}
        with open(self._events, "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **found}, default=str) + "\n")


def failure(job: Mapping[str, Any]) -> str:
    """The message about a job that failed: its error if no screen has shown it, what the executor
    says of it (its number and state in Slurm), its logs (its own, then Slurm's), a hint.

    job: fields of Snakemake's JOB_ERROR event.
    """
    lines = [f"{job['rule_name']} failed: {', '.join(job['output'][:3])}"]
    number = job.get("aux", {}).get("external_jobid")
    said = UNASKED.split(job.get("rule_msg") or "")[0]
    if number is not None:  # it ran on another host
        error = last_error(Path(job["log"][0])) if job["log"] else ""
        if not (error or said):
            error = "no error in its log: it was killed, or ran out of memory or time"
        lines[:0] = [error] if error else []
        said = said or f"job {number} of the cluster"
    lines += [f"  {said}"] if said else []
    lines += [f"  log: {', '.join(job['log'])}"] if job["log"] else []
    hint = "fix what its error says, then run the same command again; what is finished stays"
    return "\n".join([*lines, f"  hint: {hint}"])


class Job(NamedTuple):
    """A job that the workflow would start, or that failed; event: what Snakemake says of it."""

    rule: str
    event: Mapping[str, Any]

    def outputs(self) -> list[str]:
        return self.event["output"]

    def wildcards(self) -> dict[str, str]:
        return self.event["wildcards"] or {}


class DryRun(NamedTuple):
    """How a dry run ended: exit code, all that was printed, Snakemake's events."""

    code: int
    output: str
    events: list[dict[str, Any]]

    def jobs(self) -> list[Job]:
        """Jobs that would start. Raises UserError with the end of the output if it failed."""
        if self.code:
            end = "\n".join(self.output.splitlines()[-8:])
            hint = "correct what Snakemake names, then try again; `aiev run -n` shows all it says"
            raise UserError(f"the workflow cannot be planned:\n{end}", hint=hint)
        return jobs_in(self.events, "job_info")

    def failed_with(self, exception: str) -> bool:
        return any(event.get("exception") == exception for event in self.events)


def dry_run(config: str, *options: str) -> DryRun:
    """Ask Snakemake what a run with `config` would do."""
    snakemake = str(Path(sys.executable).parent / "snakemake")
    command = [snakemake, "--configfile", config, "--dry-run", "--nocolor", *options]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        environment = {**os.environ, EVENTS: file.name}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return DryRun(done.returncode, done.stdout + done.stderr, read_events(Path(file.name)))


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a workflow; [] where it did not come to write any."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def jobs_in(events: list[dict[str, Any]], kind: str) -> list[Job]:
    """Jobs among the events of a kind: "job_info" when one starts, "job_error" when it failed."""
    return [Job(event["rule_name"], event) for event in events if event["event"] == kind]
