"""Runs of the small project through a Slurm, and a look at its jobs there."""

import os
import subprocess
import time
from pathlib import Path

from project import Project

HELPER = Path(__file__).parents[1] / "slurm"
OPTIONS = ("--profile", "profiles/slurm", "--latency-wait", "5")
OPTIONS += ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks")
OPTIONS += ("2",)


def helper(*words: str) -> str:
    done = subprocess.run([HELPER, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Cluster:
    """The project in `root`, and its jobs in the Slurm of `environment`."""

    def __init__(self, project: Project, environment: dict[str, str]):
        self.project, self.environment = project, environment
        self.place = project.root.as_posix()

    def start(
        self, *targets: str, rule: str = "", retries: int = 2, **asked: object
    ) -> subprocess.Popen:
        """Start the run. asked: resources of every job, or of `rule`."""
        option = ["--set-resources"] if rule else ["--default-resources"]
        given = {"mem_mb": 1000, "runtime": 20} | asked if not rule else asked
        words = [f"{rule}:{k}={v}" if rule else f"{k}={v}" for k, v in given.items()]
        # The profile's own figures are for real nodes: this machine has a few GiB for all jobs.
        small = [] if rule else ["--set-resources", "mine_seeds:runtime=20"]
        if rule:
            small = ["--default-resources", "mem_mb=1000", "runtime=20"]
        return self.project.start(
            *(*OPTIONS, "--retries", str(retries), *option, *words, *small, "--", *targets),
            **self.environment,
        )

    def slurm(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Slurm's jobs of this project: number -> state and comment, which names the rule."""
        form = "%i|%T|%Z|%k"
        said = self.slurm("squeue", "--states=all", "--noheader", f"--format={form}")
        rows = [line.split("|") for line in said.splitlines()]
        return {row[0]: (row[1], row[3]) for row in rows if row[2] == self.place}

    def wait(self, rule: str, state: str, seconds: float = 90) -> str:
        """Number of the first job of `rule` that is in `state`, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for number, (found, comment) in self.jobs().items():
                if found == state and comment.startswith(f"rule_{rule}"):
                    return number
            time.sleep(0.3)
        raise AssertionError(f"no job of {rule} was {state}: {self.jobs()}")

    def leftovers(self) -> list[str]:
        places = [self.project.root / name for name in ("results", "ledger", ".aiev/made")]
        return [str(p) for place in places for p in place.rglob("*.part")]
