"""The example of docs/sandbox.md, run from a copy of the files that the page names."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from attacks import ATTACKS
from attacks_kernel import KERNEL_ATTACKS
from attacks_second import ATTEMPTS, SECOND_ATTACKS
from attacks_third import THIRD_ATTACKS, THIRD_ATTEMPTS

HERE = Path(__file__).parent
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


def test_every_scenario_names_attacks_and_tests_that_there_are():
    names = {attack.name for attack in [*ATTACKS, *KERNEL_ATTACKS, *SECOND_ATTACKS, *THIRD_ATTACKS]}
    names |= {*ATTEMPTS, *THIRD_ATTEMPTS}
    names |= set(re.findall(r"^def (test_\w+)", (HERE / "test_hostile.py").read_text(), re.M))
    section = PAGE.partition("## Public scenarios")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if re.match(r"\| (?!-|scenario)\S", line)]
    named = [re.findall(r"`([^`]+)`", row.split("|")[3]) for row in rows]
    untested = [row for row, found in zip(rows, named, strict=True) if not found]
    assert len(rows) == 18 and len(untested) == 1 and "Dirty Pipe" in untested[0]
    rest = set(re.findall(r"`([^`]+)`", section.partition("SandboxBench")[2]))
    assert {name for found in named for name in found} | rest <= names


def test_every_outcome_and_limit_is_on_the_page():
    from aiev.sandbox.api import Limits, Result

    outcomes = set(re.findall(r"^    +(?:outcome: )?([a-z-]+)  +\w", Result.__doc__, re.MULTILINE))
    assert outcomes >= {"passed", "output-cut"}
    for word in (*outcomes, "install-failed", *Limits.__dataclass_fields__):
        assert f"`{word}`" in PAGE
