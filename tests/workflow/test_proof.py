"""A score is one of a machine that has proved the benchmark, wherever its proof comes from."""

import shutil

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
SCORE = "results/tiny/eval/base/humaneval/score.json"
LOG = "logs/tiny/eval/base/humaneval/score.log"


def test_another_machine_proves_the_benchmark_before_it_scores(tmp_path, finished_copy):
    project = finished_copy(tmp_path / "project")
    before, proved = project.file(SCORE), b"proving it here, too"
    assert proved not in project.file(LOG)

    def score_again() -> bytes:
        (project.root / SCORE).unlink()
        shutil.rmtree(project.root / ".aiev/actions")
        code, said = project.run(SCORE)
        assert code == 0 and "rule prove_benchmark" not in said, said
        assert project.file(SCORE) == before
        return project.file(LOG)

    assert proved not in score_again()
    # As another machine: it has the proof, from a store or a shared disk, and made none.
    shutil.rmtree(project.root / ".aiev/here")
    assert proved in score_again()
    assert proved not in score_again()
