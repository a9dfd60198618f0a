"""The two shipped configs in which a gate stays shut and opens, with real models.

Questions that a ledger in this checkout has answers to, as after `make run`, are not asked again.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aiev.digests import of_path
from aiev.records import read_json, read_jsonl

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, resource):
    """A copy of the workflow, with the pinned files at hand, for both runs."""
    folder = tmp_path_factory.mktemp("gates")
    for name in ("rules", "scripts", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "mirror").mkdir()
    for name in ("qwen2.5-coder-0.5b", "smollm2-135m", "humaneval"):
        (folder / "mirror" / resource(name).name).symlink_to(resource(name))
    return folder


def rounds_of(checkout: Path, name: str, monkeypatch) -> tuple[Path, dict]:
    """Run a shipped config up to its rounds' table: where its results lie, and the table."""
    config = yaml.safe_load((checkout / f"config/{name}.yaml").read_text("utf-8"))
    if (ROOT / "ledger").is_dir():
        config["ledger"] = {"path": str(ROOT / "ledger")}
    (checkout / f"{name}.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("AUTOCODER_MIRROR", str(checkout / "mirror"))
    monkeypatch.delenv("AIEV_WORKFLOW", raising=False)
    target = f"results/{name}/rounds.json"
    command = [Path(sys.executable).parent / "snakemake", target, "--cores", "2", "--nocolor"]
    done = subprocess.run(
        [*command, "--configfile", f"{name}.yaml"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = checkout / f"results/{name}"
    return results, read_json(results / "rounds.json")


def dialogues(results: Path, number: int) -> list[dict]:
    (place,) = (results / f"rounds/{number}/dialogues").glob("*.jsonl")
    return read_jsonl(place)


def test_the_gate_stays_shut(checkout, monkeypatch):
    results, found = rounds_of(checkout, "gate-shut", monkeypatch)
    assert found["switch"] is None and [row["open"] for row in found["rounds"]] == [False] * 2
    assert sum(row["problems"] for row in found["rounds"]) > 0
    for number in range(2):
        assert {d["stage"] for d in dialogues(results, number)} == {"teaching"}
        assert {d["model"].partition("@")[0] for d in dialogues(results, number)} == {
            "qwen2.5-coder-0.5b"
        }


def test_the_gate_opens_and_the_student_writes(checkout, monkeypatch):
    results, found = rounds_of(checkout, "gate-open", monkeypatch)
    first, second = found["rounds"]
    assert found["switch"] == 1 and first["open"] and first["reason"] == "student-ahead"
    assert first["student"]["correct"] > first["teacher"]["correct"]
    student = of_path(results / "rounds/0/student")
    assert {d["stage"] for d in dialogues(results, 1)} == {"self-learning"}
    written = {d["model"] for d in dialogues(results, 1)}
    assert written == {f"student-qwen2.5-coder-0.5b@{student}"}
    assert second["yield"]["correct"] > 0
