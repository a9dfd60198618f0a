"""The two shipped configs in which a gate stays shut and opens, with real models.

Luck decides how they go: two rounds of a few dialogues by small models. So they run at night.

Questions that a ledger in this checkout has answers to, as after `make run`, are not asked again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aiev.core.files import read_json, read_jsonl
from aiev.core.hashing import of_path

pytestmark = [pytest.mark.real, pytest.mark.nightly]
ROOT = Path(__file__).parents[2]
TEACHER, STUDENT = "qwen2.5-coder-0.5b", "smollm2-135m"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, resource):
    """A copy of the workflow, with the pinned files at hand, for both runs."""
    folder = tmp_path_factory.mktemp("pipeline")
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "mirror").mkdir()
    for name in (TEACHER, STUDENT, "humaneval"):
        (folder / "mirror" / resource(name).name).symlink_to(resource(name))
    return folder


def attempt(checkout: Path, name: str, seed: int = 1) -> tuple[int, str]:
    """Run a shipped config; Snakemake's exit code and what it said."""
    config = yaml.safe_load((checkout / f"config/{name}.yaml").read_text("utf-8")) | {"seed": seed}
    if (ROOT / "ledger").is_dir():
        config.setdefault("execution", {})["ledger"] = {"path": str(ROOT / "ledger")}
    (checkout / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return again(checkout, name)


def again(checkout: Path, name: str) -> tuple[int, str]:
    command = [Path(sys.executable).parent / "snakemake", "--cores", "2", "--nocolor"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIEV_")}
    done = subprocess.run(
        [*command, "--configfile", f"{name}.yaml"],
        cwd=checkout,
        env={**kept, "AUTOCODER_MIRROR": str(checkout / "mirror")},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    return done.returncode, done.stdout + done.stderr


def dialogues(results: Path, number: int) -> list[dict]:
    (place,) = (results / f"rounds/{number}/dialogues").glob("*.jsonl")
    return read_jsonl(place)


FLOOR = "fell below rounds.minimum_yield"
BAD_LUCK = ("no dialogue of the round is verified", FLOOR)
"""How a run of few dialogues by a small model may end, as docs/self-learning.md says."""


def duels(results: Path) -> tuple[int, bool]:
    """Problems of all duels of a run, and whether a gate opened. Each is as its duel decides."""
    problems, won = 0, False
    for path in sorted(results.glob("rounds/*/gate.json")):
        gate = read_json(path)
        numbers = gate["numbers"]
        if numbers["problems"]:
            won |= numbers["student"]["correct"] > numbers["teacher"]["correct"]
        assert gate["open"] == won, gate
        problems += numbers["problems"]
    return problems, won


@pytest.fixture(scope="module")
def shut(checkout):
    """A finished run whose teacher won. One that luck ended, without a problem to solve or with a
    small student that solved one, ended as it should; then another seed is drawn."""
    results = checkout / "results/gate-shut"
    for seed in (1, 2, 3):
        code, said = attempt(checkout, "gate-shut", seed)
        problems, won = duels(results)
        if code == 0 and problems and not won:
            return results
        luck = "Traceback" not in said and any(each in said for each in BAD_LUCK)
        assert code == 0 or luck, said[-4000:]
        shutil.rmtree(results)
    raise AssertionError(f"three runs without luck; the last one:\n{said[-4000:]}")


def test_the_gate_stays_shut_and_the_teacher_goes_on(shut):
    found = read_json(shut / "rounds.json")
    assert found["switch"] is None and [row["open"] for row in found["rounds"]] == [False] * 2
    assert sum(row["problems"] for row in found["rounds"]) > 0
    written = [d for number in range(2) for d in dialogues(shut, number)]
    assert {d["stage"] for d in written} == {"teaching"}
    assert {d["model"].partition("@")[0] for d in written} == {TEACHER}


def test_the_gate_opens_and_the_student_writes(checkout):
    results = checkout / "results/gate-open"
    code, said = attempt(checkout, "gate-open")
    gate = read_json(results / "rounds/0/gate.json")
    assert gate["open"] and gate["reason"] == "student-ahead", said[-4000:]
    assert gate["numbers"]["student"]["correct"] > gate["numbers"]["teacher"]["correct"]
    student = of_path(results / "rounds/0/student")
    written = dialogues(results, 1)
    assert {d["stage"] for d in written} == {"self-learning"}
    assert {d["model"] for d in written} == {f"student-{TEACHER}@{student}"}
    assert any(d["executions"] for d in written), "it wrote programs"
    # Sixteen dialogues of so small a student may all fail; then that is said, and the run ends.
    if (results / "rounds/1/report.json").exists():
        assert code == 0, said[-4000:]
        assert read_json(results / "rounds.json")["switch"] == 1
        assert (results / "scores.json").exists()
    else:
        assert code != 0 and FLOOR in said, said[-4000:]
