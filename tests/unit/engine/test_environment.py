"""What of the environment makes jobs stale, and whether it is the one that is pinned."""

import sys
import time
from importlib.metadata import version

import pytest

from aiev.core.errors import UserError
from aiev.engine.environment import ENVS, PINS, check_installed, environment, pins


@pytest.fixture
def envs(tmp_path):
    for name in (*PINS, "build.txt"):
        (tmp_path / name).write_text(f"{name}==1\n")
    return tmp_path


@pytest.mark.parametrize("name", PINS)
def test_another_package_is_another_environment(envs, name):
    before = environment(envs)
    (envs / name).write_text(f"{name}==2\n")
    assert environment(envs) != before


def test_another_python_is_another_environment(envs, monkeypatch):
    before = environment(envs)
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert environment(envs) != before


def test_packages_that_only_build_others_do_not_count(envs):
    before = environment(envs)
    (envs / "build.txt").write_text("build==2\n")
    assert environment(envs) == before


def test_all_that_is_pinned_here_counts():
    assert list(pins()) == list(PINS)
    others = {path.name for path in ENVS.glob("*.txt")} - set(PINS)
    assert others == {"build.txt", "requirements.txt"}, (
        "a file that pins packages and makes nothing stale"
    )


HERE = version("pydantic")


def check(tmp_path, text: str) -> None:
    (tmp_path / "lock.txt").write_text(text)
    check_installed(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        f"# all of it\n\npydantic=={HERE}\n",
        f"Pydantic[email]=={HERE}  # by its other name",
        f"pydantic=={HERE}+cpu",
        "pydantic==0.1; python_version < '3'",
        f"pydantic=={HERE} \\\n    --hash=sha256:{'0' * 64}\n",
        "--index-url https://pypi.invalid/simple\npydantic>=1",
    ],
)
def test_a_package_in_the_pinned_version(text, tmp_path):
    check(tmp_path, text)


@pytest.mark.parametrize("name", ["pydantic", "Pydantic"])
def test_a_package_in_another_version(name, tmp_path):
    with pytest.raises(UserError, match=rf"{name} \S+ is installed, and .* pins 0\.1") as caught:
        check(tmp_path, f"{name}==0.1")
    assert "make -B .venv" in caught.value.hint


def test_a_package_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no-such-package is not installed, and"):
        check(tmp_path, "no-such-package==1.0")


def test_a_build_of_the_pinned_version_counts_as_it(tmp_path, monkeypatch):
    (tmp_path / "torch_like-2.0+cu130.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    check(tmp_path, "torch-like==2.0")


def test_the_environment_of_these_tests_is_the_pinned_one_and_looked_at_in_no_time():
    start = time.process_time()
    check_installed()
    assert time.process_time() - start < 0.2  # 30 ms; the metadata of all takes 160
