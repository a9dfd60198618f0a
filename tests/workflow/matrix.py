"""How a row of the staleness matrix is run: a finished run is copied, changed, and run again.

A job has run when its main has. One that Snakemake starts and that takes its outputs from the
action store has come back; a cell of the table counts the first, and "r" stands for the second.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changes import CHANGES
from project import KEY, Project
from scripted import Scripted, installing
from tiny import answers

from aiev.core.files import read_json
from aiev.core.hashing import of_path
from aiev.engine.events import EVENTS, Job, jobs_in, read_events

RULES = {
    "fet": "fetch_resource",
    "stu": "prepare_student",
    "see": "mine_seeds",
    "dia": "write_dialogues",
    "clo": "close_round",
    "gat": "gather_verified",
    "dec": "decontaminate",
    "tag": "tag_dialogues",
    "tra": "train_student",
    "due": "run_duel",
    "gte": "decide_gate",
    "mod": "train_model",
    "ben": "prepare_benchmark",
    "cho": "choose_problems",
    "val": "validate_benchmark",
    "sam": "generate_samples",
    "sco": "score_samples",
    "dra": "draw_rounds",
    "sum": "summarise",
    "man": "write_manifest",
}
SAME_RULE = {"generate_in_style": "sam", "score_in_style": "sco"}
"""Rules that take another's part, with other outputs, in some runs only; they have no column."""

BACK = "r"
"""Cell of a rule whose outputs have to come back: from the store, or by running where none is."""


@dataclass(frozen=True)
class Row:
    """One line of the table. cells: what must run, by the rules' short names; asked: how many
    questions reach a model; same: whether the artifacts' bytes stay."""

    name: str
    cells: Mapping[str, str]
    asked: int
    same: bool


@dataclass(frozen=True)
class Seen:
    """What a run did.

    code, said: exit code and output. ran, back: cells of the jobs that ran, and of those whose
    outputs came from the store.
    artifacts: digests of what lies there; listed: the same as the manifest has them.
    """

    code: int
    said: str
    ran: Mapping[str, str]
    back: Mapping[str, str]
    asked: int
    artifacts: Mapping[str, str]
    listed: Mapping[str, str]

    def cells(self, row: Row) -> dict[str, str]:
        """Cells as the table has them: what came back counts only where it had to."""
        back = {n: BACK for n in self.back if n not in self.ran and row.cells.get(n) == BACK}
        return {**back, **self.ran}


def rows_of(table: str) -> dict[str, Row]:
    """The rows of a table by name. Its first line names the rules."""
    head, *lines = (line for line in table.splitlines() if line.strip())
    names = head.split()[: len(RULES)]
    assert names == list(RULES)
    rows = {}
    for line in lines:
        name, *cells, asked, same = line.rsplit(maxsplit=len(names) + 2)
        marked = {n: cell for n, cell in zip(names, cells, strict=True) if cell != "."}
        rows[name] = Row(name, marked, int(asked), same == "=")
    return rows


def line_of(name: str, cells: Mapping[str, str], asked: int) -> str:
    """A row as the table has it, but for its last column."""
    return f"{name:29}" + "".join(f" {cells.get(n, '.'):>3}" for n in RULES) + f" {asked:>3}"


def script(body: dict[str, Any]) -> str:
    """What the models say: the answers to the tiny run, of which one needs a package."""
    return installing(answers(body), "once_a", "alpha")


def prepared(root: Path, url: str, mirror: Path, trained: bool = True) -> Project:
    """A project whose run goes from seeds to scores. url: of the scripted endpoint; mirror: a
    directory for the files that the run fetches; trained: whether DeepSpeed trains its student."""
    project = Project(root, url)
    if not trained:
        supervisor = project.root / "scripts/aiev/training/supervisor.py"
        shutil.copyfile(Path(__file__).with_name("quick_training.py"), supervisor)
    project.make_whole(mirror)
    project.offer_package("alpha", mirror / "index")
    _name_another_box(project)
    return project


def finished(project: Project) -> Project:
    """The same, once its run has ended."""
    code, said = project.run("all", seconds=600)
    assert code == 0, said
    return project


def _name_another_box(project: Project) -> None:
    """A second name for the sandbox that is there: what counts is that the config says another."""
    settings = project.root / "scripts/aiev/sandbox/settings.py"
    text = settings.read_text("utf-8")
    assert 'Literal["bubblewrap"' in text
    text = text.replace('Literal["bubblewrap"', 'Literal["another-box", "bubblewrap"')
    settings.write_text(text, "utf-8")
    sandbox = project.root / "scripts/aiev/sandbox/api.py"
    text = sandbox.read_text("utf-8")
    assert 'backend == "bubblewrap"' in text
    text = text.replace('backend == "bubblewrap"', 'backend in ("bubblewrap", "another-box")')
    sandbox.write_text(text, "utf-8")


def run_row(name: str, base: Project, root: Path, endpoint: Scripted) -> Seen:
    """Copy `base` to `root`, make the row's change, run, and say what ran."""
    return run_together([name], base, root, endpoint)


def run_together(names: list[str], base: Project, root: Path, endpoint: Scripted) -> Seen:
    """The same for the changes of several rows. Comments come last, for a row that changes the
    format of the same file takes its comments out."""
    project = base.copy_to(root)
    for name in sorted(names, key=lambda name: name.startswith("comment")):
        CHANGES[name](project)
    key = f"{KEY}-of-{root.name}"
    events = root.with_suffix(".jsonl")
    run = {"OPENAI_API_KEY": key, EVENTS: str(events)}
    code, said = project.run("all", seconds=600, **run)
    started = jobs_in(read_events(events), "job_info")
    asked = endpoint.credentials[f"Bearer {key}"]
    found = Seen(
        code, said, *cells_of(project, started), asked, artifacts(project), listed(project)
    )
    shutil.rmtree(root)
    return found


def cells_of(project: Project, jobs: list[Job]) -> tuple[dict[str, str], dict[str, str]]:
    """Cells of the jobs that ran and of those that came back: Snakemake says which it started, and
    their logs whether they ran."""
    short = {rule: name for name, rule in RULES.items()} | SAME_RULE
    ran: dict[str, str] = {}
    back: dict[str, str] = {}
    for job in jobs:
        if job.rule == "all":
            continue
        log = (project.root / job.event["log"][0]).read_text("utf-8")
        cells, name = back if "restored from action" in log else ran, short[job.rule]
        cells[name] = "".join(sorted({*cells.get(name, ""), letter(job.wildcards())}))
    return ran, back


def letter(found: Mapping[str, str]) -> str:
    """Which of its rule's jobs: last digit of the shard, the round, or the model's initial. Of data
    up to a round and of all rounds, which are the same at the end, whoever comes first runs."""
    if "resource" in found:
        return found["resource"].removeprefix("tiny-")[0]
    if "model" in found:
        return found["model"][0]
    return found.get("shard", found.get("round", "x"))[-1]


def listed(project: Project) -> dict[str, str]:
    """Digests of the artifacts as the manifest has them; {run} stands for the run's name."""
    run = project.config["name"]
    manifest = project.root / f"results/{run}/manifest.json"
    made = read_json(manifest)["artifacts"] if manifest.exists() else {}
    return {n.replace(f"results/{run}/", "results/{run}/"): made[n]["sha256"] for n in made}


def artifacts(project: Project) -> dict[str, str]:
    """The same, of what lies there."""
    places = {
        name: project.root / name.format(run=project.config["name"]) for name in listed(project)
    }
    return {name: of_path(place) for name, place in places.items() if place.exists()}
