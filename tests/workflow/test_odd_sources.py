"""Seed sources with names that Snakemake and shells read as their own signs."""

import os

import pytest
from project import Project
from scripted import seed_source

from aiev.core.files import read_json, read_jsonl

pytestmark = pytest.mark.workflow

SEEDS = "results/tiny/seeds/000.jsonl"
FOLDER = "a template's {{cookiecutter.slug}} $HOME {run} `id`"
"""Cookiecutter's templates are in folders of such names (case 29)."""


def test_braces_and_odd_bytes_in_the_names_of_a_source(tmp_path):
    project = Project(tmp_path / "project", "http://127.0.0.1:9/v1")
    folder = project.root / FOLDER
    (folder / "{wildcard}").mkdir(parents=True)
    (folder / "{wildcard}" / "{{name}}.py").write_text(seed_source("braces"))
    with open(os.fsencode(folder) + b"/caf\xe9.py", "w") as file:
        file.write(seed_source("odd_bytes"))
    project.config["seeds"]["sources"] = [{"kind": "directory", "path": FOLDER, "licence": "MIT"}]

    def mined() -> dict[str, str]:
        code, said = project.run(SEEDS)
        assert code == 0, said
        return {seed["name"]: seed["source"]["path"] for seed in read_jsonl(project.root / SEEDS)}

    assert mined() == {"braces": "{wildcard}/{{name}}.py", "odd_bytes": "caf\\xe9.py"}
    report = read_json(project.root / "results/tiny/seeds/report.json")
    assert report["sources"][0]["name"] == FOLDER
    # An edit in such a file is seen, too.
    (folder / "{wildcard}" / "{{name}}.py").write_text(seed_source("braces", "more"))
    assert "more" in mined()
