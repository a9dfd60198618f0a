"""A dialogue that asks for a package, in the true DAG: installed once, on record, made again."""

import json
import shutil

import pytest
from project import DIALOGUES, TRAIN
from scripted import dialogues, installing

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_a_package_is_installed_once_and_a_lost_layer_made_again(project, scripted, tmp_path):
    scripted.script = lambda body: installing(dialogues(body), "once_a", "alpha")
    project.offer_package("alpha", tmp_path / "index")
    code, said = project.run()
    assert code == 0, said
    written = [json.loads(line) for line in project.file(DIALOGUES).splitlines()]
    (with_package,) = [d for d in written if d["packages"]]
    assert with_package["verdict"] == "candidate" and with_package["entry_point"] == "once_a"
    (package,) = with_package["packages"]
    assert (package["name"], package["version"]) == ("alpha", "1.0") and len(
        package["sha256"]
    ) == 64
    layers = project.root / ".aiev/layers"
    assert list(layers.glob("*/alpha.py"))
    before, asked = project.file(DIALOGUES), set(scripted.answered)

    # A layer that is gone makes nothing stale.
    scripted.forget()
    shutil.rmtree(layers)
    code, said = project.run()
    assert code == 0 and "Nothing to be done" in said

    # Where the dialogues are written again, it is made again from the record, and nothing asked.
    project.config["sandbox"]["limits"] = {"wall_seconds": 9}
    code, said = project.run(DIALOGUES)
    assert code == 0 and "rule write_dialogues" in said, said
    assert scripted.bodies == [] and asked
    assert project.file(DIALOGUES) == before and list(layers.glob("*/alpha.py"))

    # Another list of what is allowed refuses it, in words that go to the model.
    project.config["sandbox"]["packages"]["allow"] = ["beta"]
    code, said = project.run(DIALOGUES, TRAIN)
    assert code == 0, said
    written = [json.loads(line) for line in project.file(DIALOGUES).splitlines()]
    refused = [e for d in written for e in d["executions"] if e["outcome"] == "install-failed"]
    assert refused and "alpha is not on the list" in refused[0]["stderr"]
    assert any("alpha is not on the list" in str(body["messages"]) for body in scripted.bodies)
