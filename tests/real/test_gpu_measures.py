"""What the tests on GPUs do, on a CPU with a model of some kilobytes."""

import pytest
from measure import operations_a_second, trained, write_dialogues, write_student
from small_models import SIZES

pytestmark = [pytest.mark.real, pytest.mark.nightly]
CPU = {"accelerator": "cpu", "precision": "float32", "micro_batch": 2, "global_batch": 4}


def test_a_training_is_measured(tmp_path):
    student = write_student(tmp_path, SIZES)
    data = write_dialogues(tmp_path / "tagged.jsonl", 20, 20, 200)
    training = trained(student, data, tmp_path, packing=True, deterministic=True, **CPU)
    assert len(training.losses) == len(training.speeds) == 5
    assert training.speed > 0 and training.peak == 0 and len(training.digest) == 64
    # 6 for each of some ten thousand parameters and token.
    assert 1e4 < operations_a_second(student, training) / training.speed < 1e6
