"""Jobs that the workflow would start, as its dry run lists them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from aiev.core.errors import UserError

_JOB = re.compile(
    r"^(?:local)?rule (\w+):\n((?:    .*\n)+)(?:Shell command: (.*)\n)?", re.MULTILINE
)
_FIELD = re.compile(r"^    (\w+): (.*)$", re.MULTILINE)


class Job(NamedTuple):
    """fields: what Snakemake says of it; command: "" unless the dry run was to print it."""

    rule: str
    fields: dict[str, str]
    command: str

    def outputs(self) -> list[str]:
        return self.fields["output"].split(", ") if "output" in self.fields else []

    def wildcards(self) -> dict[str, str]:
        found = self.fields.get("wildcards", "")
        return dict(pair.split("=", 1) for pair in found.split(", ") if pair)


def dry_run(config: str, *options: str) -> tuple[int, str]:
    """Exit code of a dry run, and all that was said."""
    snakemake = str(Path(sys.executable).parent / "snakemake")
    command = [snakemake, "--configfile", config, "--dry-run", "--nocolor", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def jobs(code: int, said: str) -> list[Job]:
    """Of a dry run that ended so. Raises UserError with what was said last, if it failed."""
    if code:
        raise UserError("the workflow cannot be planned:\n" + "\n".join(said.splitlines()[-8:]))
    found = _JOB.findall(said)
    return [Job(rule, dict(_FIELD.findall(block)), shell) for rule, block, shell in found]
