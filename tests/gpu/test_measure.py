"""What the tests on GPUs measure with, where there is no GPU."""

import time

import pytest
from measure import Figures, Trained, peak_memory, peak_of, write_dialogues

from aiev.core.files import read_jsonl

SMI = """#!/bin/sh
cat {said}
"""


@pytest.fixture
def used(tmp_path, monkeypatch):
    """`used(*mebibytes)`: what nvidia-smi, of which this is a stand-in, says of each GPU."""
    said, program = tmp_path / "said", tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(SMI.format(said=said))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")

    def say(*mebibytes: int) -> None:
        beside = tmp_path / "beside"
        beside.write_text("".join(f"{each}\n" for each in mebibytes))
        beside.rename(said)

    return say


def test_the_peak_is_what_a_gpu_held_more_than_before(used):
    used(100, 40)
    with peak_memory(0.01) as peak:
        for seen in ((600, 40), (100, 90)):
            used(*seen)
            wanted = [max(seen[0] - 100, 500) * 2**20, (seen[1] - 40) * 2**20]
            deadline = time.monotonic() + 20
            while list(peak) != wanted and time.monotonic() < deadline:
                time.sleep(0.01)
    assert peak == [500 * 2**20, 50 * 2**20]


def test_without_a_gpu_the_peak_is_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with peak_memory(0.01) as peak:
        time.sleep(0.05)
    assert peak == [0]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10", 125e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA A10G", None),
        ("Tesla T4", None),
    ],
)
def test_the_peak_of_a_gpu_by_its_name(name, peak):
    assert peak_of(name) == peak


def test_a_usual_step_is_none_of_the_first():
    steps = [{"loss": 3.0}, {"loss": 2.0}]
    training = Trained({"steps": steps}, [1, 1, 50, 70, 60], 0, "")
    assert training.speed == 60 and training.losses == [3.0, 2.0]
    assert Trained({}, [5, 7], 0, "").speed == 6


def test_figures_are_json_lines(tmp_path):
    figures = Figures(tmp_path / "figures.jsonl")
    figures.add("one", 1.23456, "tokens/s", gpu="A100")
    figures.add("two", 2, "GiB")
    assert read_jsonl(figures.path) == [
        {"name": "one", "value": 1.2346, "unit": "tokens/s", "gpu": "A100"},
        {"name": "two", "value": 2, "unit": "GiB"},
    ]


def test_dialogues_are_the_same_each_time(tmp_path):
    one, two = (write_dialogues(tmp_path / name, 5, 10, 200) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    lengths = {len(row["messages"][1]["content"]) for row in read_jsonl(one)}
    assert len(read_jsonl(one)) == 5 and len(lengths) > 1
