"""`aiev lint`: Snakemake's own lint of the workflow."""

import re
import subprocess
import sys
from pathlib import Path

import typer

from aiev.cli.options import check_checkout

# All rules run in the one environment that envs/lock.txt pins, and a job's environment is the one
# that submitted it.
IGNORED = "Specify a conda environment or container for each rule"


def lint() -> None:
    """Check the rules with Snakemake's lint; exit with 1 where it finds anything.

    One of its remarks is ignored: rules share one environment here, and need none of their own.
    """
    check_checkout()
    command = [str(Path(sys.executable).parent / "snakemake"), "--lint"]
    done = subprocess.run(command, capture_output=True, text=True)
    remarks = re.findall(r"^ {4}\* (.+?):?$", done.stdout + done.stderr, re.MULTILINE)
    counted = [remark for remark in remarks if not remark.startswith(IGNORED)]
    # A workflow that cannot be parsed has no remarks either.
    if counted or (done.returncode and not remarks):
        print(done.stdout + done.stderr, end="", file=sys.stderr)
        raise typer.Exit(1)
    print("snakemake --lint: clean")
