"""The example of docs/sandbox.md, run from a copy of the files that the page names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")


def test_it_can_be_lifted_out(tmp_path):
    package = tmp_path / "aiev"
    shutil.copytree(ROOT / "scripts" / "aiev" / "sandbox", package / "sandbox")
    (package / "core").mkdir()
    names = set(re.findall(r"`aiev/(core/\w+\.py)`", PAGE))
    for name in {"__init__.py", "core/__init__.py", *names}:  # or an installed aiev would be taken
        shutil.copy(ROOT / "scripts" / "aiev" / name, package / name)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "example.py").write_text(example, "utf-8")
    command = [sys.executable, "-P", "example.py"]
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "passed 45\n {'out': b'done'}\n", done.stderr


def test_every_outcome_and_limit_is_on_the_page():
    from aiev.sandbox.api import Limits, Result

    outcomes = set(re.findall(r"^    +(?:outcome: )?([a-z-]+)  +\w", Result.__doc__, re.MULTILINE))
    assert outcomes >= {"passed", "output-cut"}
    for word in (*outcomes, "install-failed", *Limits.__dataclass_fields__):
        assert f"`{word}`" in PAGE
