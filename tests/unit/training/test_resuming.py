"""Which checkpoint a training goes on from, when it was stopped."""

from aiev.training.supervisor import last_complete
from aiev.training.worker import COMPLETE


def test_the_newest_whole_checkpoint_is_taken_and_strays_stay(tmp_path):
    for step in (5, 40, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (5, 40):
        (tmp_path / f"checkpoint-{step}" / COMPLETE).touch()
    (tmp_path / "checkpoint-7-tmp").mkdir()
    (tmp_path / "checkpoint-999").write_text("a file")
    assert last_complete(tmp_path) == str(tmp_path / "checkpoint-40"), "numbers, not names"
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["checkpoint-40", "checkpoint-5", "checkpoint-7-tmp", "checkpoint-999"]


def test_without_a_whole_checkpoint_the_training_begins_again(tmp_path):
    assert last_complete(tmp_path / "none") is None
    (tmp_path / "checkpoint-3").mkdir()
    assert last_complete(tmp_path) is None and not list(tmp_path.iterdir())
