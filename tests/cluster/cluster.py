"""Runs of the small project through a Slurm, and a look at its jobs there."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen

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

    def edit_profile(self, *changes: tuple[str, str]) -> None:
        """Change the project's copy of the profile, as docs/cluster.md asks a user to."""
        path = self.project.root / "profiles/slurm/config.yaml"
        text = path.read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    def use_partition(self, name: str) -> None:
        self.edit_profile(("# slurm_partition: gpu", f"slurm_partition: {name}"))

    def start(self, *targets: str, options: Sequence[str] = (), **asked: object) -> Popen:
        """Start the run; `asked` instead of what the profile asks for a shard of dialogues."""
        words = [f"write_dialogues:{name}={value}" for name, value in asked.items()]
        given = ["--set-resources", *words] if words else []
        return self.project.start(*OPTIONS, *options, *given, "--", *targets, **self.environment)

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
