"""Why a file would be made again, and what is not a file of the run."""

from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.engine.events import DryRun
from aiev.provenance.explain import explain

PLANNED = {
    "event": "job_info",
    "rule_name": "tag_dialogues",
    "output": ["results/tiny/data/tagged.jsonl"],
    "shellcmd": "python scripts/tag_dialogues.py",
}


@pytest.mark.parametrize("file", ["all", "logs/tiny/data/tagged.log", "benchmarks/tiny/tagged.txt"])
def test_a_target_that_is_no_output_is_named(file, monkeypatch, tmp_path):
    """Snakemake plans jobs for it, but none of them has it as an output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aiev.provenance.explain.dry_run", lambda *_: DryRun(0, "", [PLANNED]))
    with pytest.raises(UserError, match="no rule makes this file") as caught:
        list(explain(Path(file), "config/config.yaml"))
    assert caught.value.where == file and "results/" in caught.value.hint
