"""The command line as a user types it, in any directory."""

import os
import subprocess
import sys
from pathlib import Path

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
