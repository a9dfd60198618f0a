"""resources/ copied from another checkout: pinned files are taken, all else is made again."""

import shutil

import pytest
from project import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

BENCHMARK = "resources/tiny-benchmark/tiny.jsonl.gz"
STUDENT = "resources/tiny-student/tiny.gguf"


def test_copied_resources_are_recognised_before_anything_is_asked(tmp_path, scripted):
    first, second = (Project(tmp_path / name, scripted.url) for name in ("first", "second"))
    for number, project in enumerate((first, second)):
        project.make_whole(tmp_path / f"mirror-{number}")
    code, said = first.run(BENCHMARK, STUDENT)
    assert code == 0, said
    shutil.copytree(first.root / "resources", second.root / "resources")
    (second.root / STUDENT).write_bytes(b"cut off")
    derived = second.root / "resources/students/tiny"
    derived.mkdir(parents=True)
    (derived / "model.safetensors").write_bytes(b"from elsewhere")

    code, said = second.run(BENCHMARK, STUDENT, "-n")
    assert code == 0 and said.count("a run would make it again") == 2
    code, said = second.run(BENCHMARK, STUDENT)
    assert code == 0, said
    assert f"{BENCHMARK} was copied in: it has its declared sha256" in said
    assert f"{STUDENT} has other bytes than its declaration: it will be rebuilt" in said
    assert "resources/students/tiny was not made in this checkout: it will be rebuilt" in said
    assert second.file(STUDENT) == first.file(STUDENT) and not derived.exists()
    for path in (BENCHMARK, STUDENT):
        assert (second.root / f".aiev/made/{path}.json").is_file()
