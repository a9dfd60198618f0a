"""Snakemake's own lint, with one remark left out; exit status 1 when it says anything else.

Left out: "Specify a conda environment or container for each rule". All rules run in the one
environment that envs/lock.txt pins, and a job's environment is the one that submitted it.
"""

import re
import subprocess
import sys
from pathlib import Path

ONE_ENVIRONMENT = "Specify a conda environment or container for each rule"


def main() -> None:
    command = [str(Path(sys.executable).parent / "snakemake"), "--lint"]
    done = subprocess.run(command, capture_output=True, text=True)
    remarks = re.findall(r"^ {4}\* (.+?):?$", done.stdout + done.stderr, re.MULTILINE)
    left = [remark for remark in remarks if not remark.startswith(ONE_ENVIRONMENT)]
    # A workflow that cannot be parsed has no remarks either.
    if left or (done.returncode and not remarks):
        sys.exit(done.stdout + done.stderr)
    print("snakemake --lint: clean")


if __name__ == "__main__":
    main()
