"""When `aiev run` has the models checked before anything is paid for."""

import os
import shutil
from pathlib import Path

import pytest
from command import ROOT

from aiev.cli.run import _needs_check

CONFIG = """\
name: mine
models:
  teacher: {name: t, kind: openai}
  student: {name: s, resource: smollm2-135m, chat_template: chatml}
dialogues: {recipe: my/recipe.py, prompts: my/texts}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", "config")
    prompts = ROOT / "scripts/aiev/recipes/aiev_instruct/prompts/small"
    shutil.copytree(prompts, "my/texts")
    Path("my/recipe.py").write_text("from aiev.recipes.aiev_instruct import Recipe  # noqa: F401\n")
    Path("config/mine.yaml").write_text(CONFIG)
    for path in Path().rglob("*"):
        os.utime(path, (1000, 1000))
    Path("logs/mine").mkdir(parents=True)
    Path("logs/mine/models.json").write_text("{}")
    return Path("config/mine.yaml")


def test_nothing_is_checked_again_unless_it_has_changed(config):
    assert not _needs_check(config, [])
    Path("logs/mine/models.json").unlink()
    assert _needs_check(config, [])


@pytest.mark.parametrize(
    "edited",
    [
        "config/mine.yaml",
        "config/resources.yaml",
        "config/chat_templates/chatml.jinja",
        "my/recipe.py",
        "my/texts/solve.md",
    ],
)
def test_a_file_that_was_edited_since(edited, config):
    checked = Path("logs/mine/models.json")
    os.utime(checked, (2000, 2000))
    os.utime(edited, (3000, 3000))
    assert _needs_check(config, []) and _needs_check(config, ["--profile", "x"])
    assert not _needs_check(config, ["results/mine/scores.md"]), "a part of a run"


def test_a_file_that_the_questions_do_not_come_from(config):
    os.utime("logs/mine/models.json", (2000, 2000))
    os.utime("config/by-url.yaml", (3000, 3000))
    assert not _needs_check(config, [])
