"""What of the environment makes jobs stale."""

import sys

import pytest

from aiev.engine.environment import ENVS, PINS, environment, pins


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
