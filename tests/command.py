"""The command line as a user types it, in any directory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from aiev.cli.main import app

ROOT = Path(__file__).parents[1]
AIEV = [sys.executable, "-m", "aiev"]


def environment(root: Path = ROOT, **more: str) -> dict[str, str]:
    """This environment, with the code of the checkout in `root`, or of this one."""
    own = root / "scripts"
    scripts = own if own.is_dir() else ROOT / "scripts"
    return {**os.environ, "PYTHONPATH": str(scripts), **more}


def aiev(*words: str, root: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `aiev WORDS` in `root`, with more environment variables."""
    command = [*AIEV, *map(str, words)]
    return subprocess.run(
        command, cwd=root, env=environment(root, **more), capture_output=True, text=True
    )


def aiev_here(
    *words: str, root: Path = ROOT, typed: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """The same without a process of its own, whose imports take most of the time of a command that
    soon ends. typed: on its stdin. What no handler of errors catches is raised."""
    with contextlib.chdir(root):
        done = CliRunner().invoke(app, [*map(str, words)], typed, more, prog_name="aiev")
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)
