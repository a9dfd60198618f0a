"""The tests on GPUs: `make test-all PARTS=gpu`. Where there is no GPU they are skipped, in
continuous integration too."""

from pathlib import Path

import pytest
from measure import HALF_BILLION, Figures, write_dialogues, write_student

FIGURES = Path("gpu-figures.jsonl")
"""In the directory where the tests are started."""


@pytest.fixture(scope="session")
def gpus() -> int:
    """How many GPUs PyTorch sees; the test is skipped where it sees none."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU and a CUDA build of PyTorch")
    return torch.cuda.device_count()


@pytest.fixture(scope="session")
def figures(gpus) -> Figures:
    FIGURES.unlink(missing_ok=True)
    return Figures(FIGURES)


@pytest.fixture(scope="session")
def student(gpus, tmp_path_factory) -> Path:
    """A student of half a billion parameters."""
    return write_student(tmp_path_factory.mktemp("half-a-billion"), HALF_BILLION)


@pytest.fixture(scope="session")
def data(gpus, tmp_path_factory) -> Path:
    """Dialogues of very different lengths: 20 steps."""
    return write_dialogues(tmp_path_factory.mktemp("data") / "tagged.jsonl", 160, 100, 2000)
