"""What a job of the workflow costs on Slurm, over the bare command."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiev.core.errors import UserError
from benches import report

RULE = """
rule all:
    output: "out.txt"
    shell: "{command}"
"""
COMMAND = "sleep 2; touch out.txt"
OPTIONS = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
ROOT = Path(__file__).parents[2]


def slurm_job() -> None:
    """One job through profiles/slurm, to `sbatch --wait` of the same command; seconds."""
    if not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True).returncode:
        raise UserError(
            "no Slurm answers here", hint='eval "$(tests/slurm start)", then this again'
        )
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        place = Path(folder)
        (place / "Snakefile").write_text(RULE.format(command=COMMAND))
        profile = str(ROOT / "profiles/slurm")
        ours = _seconds(
            place,
            *(str(Path(sys.executable).parent / "snakemake"), "--profile", profile, *OPTIONS),
            *("--default-resources", "mem_mb=500", "runtime=5"),
        )
        (place / "out.txt").unlink()
        theirs = _seconds(place, "sbatch", "--wait", "--output=job.log", f"--wrap={COMMAND}")
    report("slurm_job", ours - theirs, "s more", "sbatch --wait", theirs, theirs / ours)


def _seconds(place: Path, *command: str) -> float:
    start = time.monotonic()
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    if done.returncode or not (place / "out.txt").exists():
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    return time.monotonic() - start
