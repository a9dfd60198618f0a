"""The Snakemake that a scheduler starts for one job, perhaps long after its run began."""

import pytest
from project import Project
from scripted import scripted_endpoint

from aiev.core.files import read_json

pytestmark = pytest.mark.workflow

SEEDS = "results/tiny/seeds/000.jsonl"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A project whose run has made the output."""
    with scripted_endpoint() as endpoint:
        project = Project(tmp_path_factory.mktemp("ran") / "project", endpoint.url)
        code, said = project.run(SEEDS)
        assert code == 0, said
        yield project


@pytest.fixture
def late(ran, tmp_path):
    """Start the job again as a scheduler would, for the run that has just made its output."""
    project = ran.copy_to(tmp_path / "project")
    before = project.file(SEEDS)
    (project.root / SEEDS).unlink()
    run = read_json(project.root / ".aiev/run.json")["run"]

    def start(run: str = run) -> tuple[int, str]:
        options = ("--mode", "remote", "--nolock", "--force")
        return project.run(SEEDS, *options, AIEV_RUN=run)

    return project, before, start


def test_it_works_with_the_config_that_the_run_began_with(late):
    project, before, start = late
    project.config["seeds"]["min_lines"] = 20
    code, said = start()
    assert code == 0, said
    assert project.file(SEEDS) == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("rules/seeds.smk", "rule mine_seeds:", "# Why.\nrule mine_seeds:"),
        ("scripts/aiev/seeds/mine.py", "\ndef ", "\nMORE = 1\n\n\ndef "),
    ],
)
def test_it_ends_where_its_rules_or_its_code_changed(path, old, new, late):
    project, _, start = late
    place = project.root / path
    text = place.read_text("utf-8")
    assert old in text
    place.write_text(text.replace(old, new, 1), "utf-8")
    code, said = start()
    assert code != 0 and "the sources changed since the run began" in said
    assert "run the same command again" in said and "Traceback" not in said
    assert not (project.root / SEEDS).exists()


def test_it_ends_where_another_run_has_begun(late):
    project, _, start = late
    code, said = start("host:1:1")
    assert code != 0 and "superseded: run" in said and "Traceback" not in said
    assert not (project.root / SEEDS).exists()
