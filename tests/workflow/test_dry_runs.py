"""A run that only looks touches nothing, however it is asked for: no file, no time, no lock."""

import os

import pytest

pytestmark = pytest.mark.workflow

SEEDS = "results/tiny/seeds/000.jsonl"
SPELLINGS = [
    *(["-npR", "mine_seeds"], ["--executor", "dryrun"], ["--profile", "{looks}"]),
    *(["--lint"], ["--summary"]),
]
"""One of each kind; tests/unit/engine/test_run_lock.py has them all."""


def tree(root) -> dict[str, tuple[int, int]]:
    """Size and time of each file, but for what Snakemake and Python keep for themselves."""
    own = {".snakemake", "__pycache__"}
    paths = (p for p in root.rglob("*") if not own & set(p.relative_to(root).parts))
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in paths}


@pytest.mark.slow
def test_no_dry_run_touches_anything(project, tmp_path_factory):
    looks = tmp_path_factory.mktemp("profiles") / "looks"
    looks.mkdir()
    (looks / "config.yaml").write_text("dry-run: true\n")
    code, said = project.run(SEEDS)
    assert code == 0, said
    # A run would move the edited output away, and without metadata set the times of all outputs.
    edited = project.root / SEEDS
    edited.write_text("edited\n")
    os.rename(project.root / ".snakemake/metadata", project.root / ".snakemake/gone")
    project.run(SEEDS, "-n")  # writes the config
    before = tree(project.root)
    for spelling in SPELLINGS:
        code, said = project.run(SEEDS, *(word.format(looks=looks) for word in spelling))
        assert code == 0 or spelling == ["--lint"], said
        assert tree(project.root) | {str(project.root / "tiny.yaml"): ()} == before | {
            str(project.root / "tiny.yaml"): ()
        }, spelling
        assert "was changed since it was made: a run would make it again" in said


def test_a_first_dry_run_leaves_nothing_behind(project):
    code, said = project.run("all", "-np")
    assert code == 0, said
    assert not (project.root / ".aiev").exists() and not (project.root / "logs").exists()
