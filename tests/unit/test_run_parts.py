"""The parts of `make test-all` hold every test, and none of them twice."""

from itertools import combinations

import pytest
from run_parts import GPU, PARTS, SLURM

MARKS = ("slow", "real", "slurm", "nightly")
ALL = (*PARTS, SLURM, GPU)
FOLDERS = ("tests/unit/sandbox", "tests/sandbox", "tests/real", "tests/cluster", "tests/workflow")


def parts_of(folder: str, marks: set[str]) -> list[str]:
    """Names of the parts that hold a test of these marks."""

    def below(place: str) -> bool:
        return bool(place) and f"{folder}/".startswith(f"{place}/")

    return [
        part.name
        for part in ALL
        if below(part.folder)
        and not below(part.without)
        and eval(part.marks, {}, {mark: mark in marks for mark in (*MARKS, "gpu")})
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_test_is_in_one_part_wherever_it_lies_and_however_it_is_marked(folder):
    for size in range(len(MARKS) + 1):
        for marks in combinations(MARKS, size):
            assert len(parts_of(folder, set(marks))) == 1, marks


def test_a_test_with_a_real_package_index_is_in_a_part():
    assert parts_of("tests/unit/sandbox", {"real"}) == ["docker"]


def test_what_needs_a_gpu_runs_by_name_alone():
    assert parts_of("tests/gpu", {"gpu"}) == ["gpu"]


def test_pytest_is_told_what_a_part_holds():
    docker = next(part for part in PARTS if part.name == "docker")
    assert docker.options == ["tests", "--ignore=tests/real", "-m", docker.marks]
