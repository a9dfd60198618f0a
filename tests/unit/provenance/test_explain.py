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
    with pytest.raises(UserError, match="no rule of this run makes") as caught:
        list(explain(Path(file), "config/config.yaml"))
    assert caught.value.where == file and "results/" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("results/mine/scores.md", "it is another run's: name that run's config with --config"),
        ("results/mine/score.md", "did you mean results/mine/scores.md?"),
    ],
)
def test_a_file_of_another_run_is_told_from_a_misspelt_one(file, hint, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    note = Path(".aiev/made/results/mine/scores.md.json")
    note.parent.mkdir(parents=True)
    note.write_text("{}")
    failed = DryRun(1, "", [{"event": "error", "exception": "MissingRuleException"}])
    monkeypatch.setattr("aiev.provenance.explain.dry_run", lambda *_: failed)
    with pytest.raises(UserError, match="no rule of this run makes") as caught:
        list(explain(Path(file), "config/config.yaml"))
    assert caught.value.where == file and hint in caught.value.hint
