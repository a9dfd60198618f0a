"""`make verify`: the run rebuilt from its manifest and its answers. test_kills.py has the stranger
whose rebuild is the same."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, Project
from scripted import scripted_endpoint
from tiny import answers

from aiev.core.files import read_json, write_json
from aiev.core.hashing import of_file
from aiev.core.locks import hold

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RUN = Path("results/tiny")


class Verified:
    """A finished run, and the endpoint that it asked."""

    def __init__(self, project: Project, scripted):
        self.project, self.scripted = project, scripted
        self.aiev = project.aiev


@pytest.fixture(scope="module")
def run(tmp_path_factory, finished_copy):
    with scripted_endpoint(answers) as endpoint:
        place = tmp_path_factory.mktemp("verify") / "project"
        yield Verified(finished_copy(place, endpoint.url), endpoint)


@pytest.fixture
def copy(run, tmp_path):
    """The same run, to be damaged."""
    return Verified(run.project.copy_to(tmp_path / "copy"), run.scripted)


def test_the_first_artifact_that_differs_is_named_and_not_those_below_it(copy):
    manifest = copy.project.root / RUN / "manifest.json"
    told, asked = read_json(manifest), len(copy.scripted.bodies)
    for name in ("data/verified.jsonl", "data/tagged.jsonl", "rounds/0/train.jsonl"):
        told["artifacts"][f"{RUN}/{name}"]["sha256"] = "0" * 64
    write_json(manifest, told)
    code, said = copy.aiev("verify", "--config", "tiny.yaml", "--no-training")
    assert code == 1 and len(copy.scripted.bodies) == asked, said
    assert (
        f"{RUN}/rounds/0/train.jsonl differs" in said and "data/verified.jsonl differs" not in said
    )
    here = of_file(copy.project.root / RUN / "rounds/0/train.jsonl")
    assert "0" * 64 in said and here in said
    action = told["artifacts"][f"{RUN}/rounds/0/train.jsonl"]["action"]
    assert f"close_round {action} there" in said
    kept = copy.project.root / ".aiev/verify"
    assert "rule score_samples" in (kept / "snakemake.log").read_text()
    for log in ("model.log", "rounds/0/student.log"):
        assert "restored from action" in (kept / "logs/tiny" / log).read_text(), "TRAINING=no"


def test_a_checkpoint_that_is_not_the_manifest_s_is_not_taken(copy):
    weights = next((copy.project.root / RUN / "model").glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, said = copy.aiev("verify", "--config", "tiny.yaml", "--no-training")
    assert code == 1 and f"{RUN}/model differs" in said and "--no-training" in said


def test_an_answer_that_is_missing_is_named(copy):
    entries = sorted((copy.project.root / "ledger").glob("??/*.json"))
    entry = next(path for path in entries if "messages" in read_json(path)["request"])
    entry.unlink()
    code, said = copy.aiev("verify", "--config", "tiny.yaml", "--no-training")
    assert code == 1 and entry.name in said and "differs from the manifest" in said


def test_a_file_that_is_no_manifest_is_refused(run, tmp_path):
    for text, problem in (("{}", "not a manifest"), ("", "not JSON")):
        (tmp_path / "theirs.json").write_text(text)
        code, said = run.aiev("verify", "--manifest", str(tmp_path / "theirs.json"))
        assert code == 2 and problem in said and "Traceback" not in said


def test_a_manifest_links_nothing_outside_of_the_scratch_directory(copy, tmp_path):
    root = copy.project.root
    (root.parent / "outside.txt").write_text("theirs")
    told = read_json(root / RUN / "manifest.json")
    told["artifacts"][f"{RUN}/scores.json"]["inputs"]["../outside.txt"] = "0" * 64
    write_json(tmp_path / "theirs.json", told)
    options = ("--config", "tiny.yaml", "--manifest", str(tmp_path / "theirs.json"))
    code, said = copy.aiev("verify", *options)
    assert code == 2 and "../outside.txt: a path in the manifest" in said, said
    assert not (root / ".aiev/outside.txt").is_symlink()


def test_the_manifest_is_also_a_standard_statement_of_provenance(run):
    root = run.project.root
    told, whole = read_json(root / RUN / "provenance.json"), read_json(root / RUN / "manifest.json")
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    digests = {one["name"]: one["digest"]["sha256"] for one in told["subject"]}
    assert all(of_file(root / name) == digest for name, digest in digests.items())
    files = {path for path in whole["artifacts"] if (root / path).is_file()}
    assert files < set(digests) and any(name.endswith(".safetensors") for name in digests)
    needed = told["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert all(of_file(root / one["name"]) == one["digest"]["sha256"] for one in needed)
    assert {"envs/lock.txt", "code/functions.py"} <= {one["name"] for one in needed}
    text = json.dumps([told, whole])
    assert str(root) not in text and "execution" not in whole["config"]


def why(run: Verified, file: str) -> tuple[int, str]:
    return run.aiev("why", "--config", "tiny.yaml", file)


def test_why_says_how_a_file_was_made(run):
    code, said = why(run, f"{RUN}/rounds/0/dialogues/000.jsonl")
    assert code == 0, said
    note = read_json(run.project.root / f".aiev/made/{RUN}/rounds/0/dialogues/000.jsonl.json")
    assert f"made by write_dialogues, action {note['key']}" in said
    assert f"from {RUN}/seeds/000.jsonl" in said and "the model scripted (openai)" in said
    answers = note["remarks"]["answers"]
    keys = ", ".join(key[:12] for key in answers[:3])
    assert f"from {len(answers)} answers in the ledger: {keys}, ...; all in .aiev/made/" in said
    assert list((run.project.root / "ledger").rglob(f"{answers[0][:12]}*.json"))
    assert "nothing that it depends on has changed" in said and "it would be restored" in said
    assert "up to date" in said


def test_why_names_what_has_changed(copy):
    project = copy.project
    root, splits = project.root, project.root / "scripts/aiev/rounds/splits.py"
    text = splits.read_text("utf-8")
    assert "[:16], 16)" in text
    splits.write_text(text.replace("[:16], 16)", "[1:17], 16)"), "utf-8")
    project.config["rounds"]["split"] = {"test_share": 0.5}
    (root / "tiny.yaml").write_text(project.dump(project.config))
    with open(root / RUN / "rounds/0/dialogues/000.jsonl", "a") as file:
        file.write("\n")
    code, said = why(copy, f"{RUN}/rounds/0/train.jsonl")
    assert code == 0, said
    assert "code aiev/rounds/splits.py: place: changed" in said
    assert "parameter rounds.split.test_share: 0.1 -> 0.5" in said
    assert f"input {RUN}/rounds/0/dialogues/000.jsonl: " in said and "its job would run" in said
    assert "a run would start" in said


def test_why_of_a_file_that_nobody_makes(run):
    code, said = why(run, f"{RUN}/rounds/0/trane.jsonl")
    assert code == 2 and "no rule of this run makes" in said and "Traceback" not in said
    assert f"did you mean {RUN}/rounds/0/train.jsonl" in said


def test_make_touches_nothing_while_a_run_works(copy):
    shutil.copyfile(ROOT / "Makefile", copy.project.root / "Makefile")
    with hold(copy.project.root / ".aiev/lock", "taken"):
        for target in ("clean", ".venv"):
            command = ["make", target, f"PYTHON={sys.executable}"]
            done = subprocess.run(command, cwd=copy.project.root, capture_output=True, text=True)
            assert done.returncode == 2 and "a run is active in this directory" in done.stdout
    assert (copy.project.root / RUN).is_dir()
