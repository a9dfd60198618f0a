"""The audit on record in tests/answers: its questions are answered from there, and all that follows
from the answers (votes, tests, verdicts, hidden tests) happens here."""

import json
from pathlib import Path

import pytest
import yaml
from command import aiev

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
PACKED = ROOT / "tests/answers/audit.jsonl.gz"
PROBLEMS = 12
"""Those of the whole audit with the smallest digests; docs/verification.md has all."""
EXPECTED = {"problems": 12, "verified": 4, "right": 3, "first_right": 6, "bent": 1}
OWN = {"problems": 12, "verified": 2, "right": 1}
"""Of those that state two examples, as a run asks for."""


def test_the_audit_on_record_gives_its_figures_again(resource, mirror, tmp_path):
    resource("qwen2.5-coder-0.5b")
    folder, config = mirror("humaneval-plus"), tmp_path / "audit.yaml"
    read = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
    read["execution"]["ledger"]["mode"] = "replay"
    config.write_text(yaml.safe_dump(read), "utf-8")
    ledger = tmp_path / "ledger"
    assert aiev("ledger", "unpack", PACKED, "--ledger", ledger).returncode == 0
    words = ("--benchmark", "humaneval", "--n", PROBLEMS, "--ledger", ledger)
    record = tmp_path / "new/folder/audit.jsonl"
    words += ("--record", record)
    done = aiev("audit", "--config", config, *words, AUTOCODER_MIRROR=str(folder))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {row["min_examples"]: row for row in rows if row["policy"] == "consensus"}
    assert {key: found[0][key] for key in EXPECTED} == EXPECTED
    assert {key: found[2][key] for key in OWN} == OWN
    assert len(record.read_text("utf-8").splitlines()) == PROBLEMS
