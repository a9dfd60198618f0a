"""A score counts only on a machine that has validated the benchmark itself."""

import shutil

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
SCORE = "results/tiny/eval/base/humaneval/score.json"
LOG = "logs/tiny/eval/base/humaneval/score.log"


def test_another_machine_validates_the_benchmark_before_it_scores(tmp_path, finished_copy):
    project = finished_copy(tmp_path / "project")
    before, message = project.file(SCORE), b"validating humaneval on this machine"
    assert message not in project.file(LOG)

    def score_again() -> bytes:
        (project.root / SCORE).unlink()
        shutil.rmtree(project.root / ".aiev/actions")
        code, said = project.run(SCORE)
        assert code == 0 and "rule validate_benchmark" not in said, said
        assert project.file(SCORE) == before
        return project.file(LOG)

    assert message not in score_again()
    # As another machine: it has the validation, from a store or a shared disk, and made none.
    shutil.rmtree(project.root / ".aiev/here")
    assert message in score_again()
    assert message not in score_again()
