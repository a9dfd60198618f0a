"""The docs tell what is there: links, commands with their options, make targets."""

import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml
from command import ROOT

from aiev.cli.main import COMMANDS, LEDGER_COMMANDS, app

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
MADE_BY_A_RUN = ("results/", "logs/", "rounds.svg")


def code_of(page: Path) -> list[str]:
    """Lines of fenced blocks, and spans between backticks."""
    text = page.read_text("utf-8")
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]


def commands(page: Path, program: str) -> list[list[str]]:
    """The words after `program` wherever the page shows it, without a remark behind them."""
    found = [re.search(rf"(?:^|[\s/=]){program} (.+)", code) for code in code_of(page)]
    texts = [re.split(r"  +|\s#", each[1])[0] for each in found if each]
    return [shlex.split(text.replace("'", "")) for text in texts]


@cache
def options_of(*words: str) -> frozenset[str]:
    parser = typer.main.get_command(app)
    for word in words:
        parser = parser.commands[word]
    return frozenset(option for each in parser.params for option in each.opts + each.secondary_opts)


@BY_NAME
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" not in target and not target.startswith(("#", *MADE_BY_A_RUN)):
            assert (page.parent / target.partition("#")[0]).exists(), target


@BY_NAME
def test_commands_exist_with_their_options(page):
    known = {name for name, *_ in COMMANDS} | {"ledger"}
    for words in commands(page, "aiev"):
        name = words[0].rstrip(",.;:")
        if name == "COMMAND" or name.startswith("-"):
            continue
        assert name in known, words
        own = (name, words[1]) if name == "ledger" and len(words) > 1 else (name,)
        if name != "run":  # which passes on what it does not know
            given = {word for word in words if word.startswith("--")} - {"--help"}
            assert given <= options_of(*own), words


@BY_NAME
def test_make_targets_exist_with_their_variables(page):
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z.-]+):", text, re.MULTILINE))
    for words in commands(page, "make"):
        target, *more = (word.rstrip(",.;:)") for word in words)
        assert target in targets, words
        for word in more:
            variable, equals, _ = word.partition("=")
            assert not equals or f"$({variable})" in text, words


def test_every_command_is_on_the_page_of_commands():
    text = (ROOT / "docs/commands.md").read_text("utf-8")
    names = [name for name, *_ in COMMANDS] + [f"ledger {name}" for name, *_ in LEDGER_COMMANDS]
    assert [name for name in names if not re.search(rf"^\| `{name}[ `]", text, re.MULTILINE)] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 120


def test_the_readme_makes_the_config_that_its_commands_name(tmp_path):
    """A reader copies the lines one after another."""
    lines = code_of(ROOT / "README.md")
    first, *others = [line for line in lines if "mine" in line]
    assert len(others) == 4 and all("--config config/mine.yaml" in line for line in others)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    subprocess.run(first, shell=True, check=True, cwd=tmp_path)
    made = (tmp_path / "config/mine.yaml").read_text("utf-8")
    assert yaml.safe_load(made)["name"] == "mine"


def test_the_picture_is_current(tmp_path):
    for name in ("draw_pipeline.py", "pipeline.svg"):
        (tmp_path / name).write_bytes((ROOT / "docs" / name).read_bytes())
    drawn = (tmp_path / "pipeline.svg").read_bytes()
    subprocess.run(["python3", tmp_path / "draw_pipeline.py"], check=True)
    assert (tmp_path / "pipeline.svg").read_bytes() == drawn
