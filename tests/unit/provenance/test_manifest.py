"""The manifest says how every artifact was made, the same in every place."""

from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.core.files import write_text
from aiev.core.hashing import of_file, of_path
from aiev.engine.action import Action, key_of
from aiev.engine.store import Store
from aiev.provenance.manifest import manifest, provenance, sources
from aiev.provenance.rebuild import Difference, check_shape, in_order

CONFIG = {"name": "tiny", "seed": 1}
SEEDS, TRAIN, MODEL = (Path("results/tiny", n) for n in ("seeds.jsonl", "train.jsonl", "model"))


def make(rule: str, inputs: list[Path], output: Path) -> None:
    """Write and note an output, as a job does."""
    if output == MODEL:
        write_text(output / "weights.bin", rule)
        write_text(output / "deep/config.json", rule)
    else:
        write_text(output, rule)
    action = Action(rule, f"code of {rule}", {"a": 1}, {"needed": inputs}, {"made": [output]}, "e")
    told = action.description()
    record = {**told, "key": key_of(told), "outputs": {"made": [of_path(output)]}}
    Store().note(record, action)


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(Path("code/a.py"), "source")
    make("mine", [Path("code"), Path("code/a.py")], SEEDS)
    make("write", [SEEDS], TRAIN)
    make("train", [TRAIN], MODEL)


def whole():
    return manifest(CONFIG, [MODEL, TRAIN, SEEDS, SEEDS], "e" * 64)


def test_what_it_says(tmp_path):
    told = whole()
    assert (told["run"], told["config"], told["environment"]) == ("tiny", CONFIG, "e" * 64)
    assert list(told["artifacts"]) == [str(p) for p in (MODEL, SEEDS, TRAIN)]
    train = told["artifacts"][str(TRAIN)]
    assert train["rule"] == "write" and train["params"] == {"a": 1}
    assert train["inputs"] == {str(SEEDS): of_file(SEEDS)} and len(train["action"]) == 64
    assert train["sha256"] == of_file(TRAIN)
    assert str(tmp_path) not in str(told)
    check_shape(told, Path("manifest.json"))


def test_an_artifact_that_was_changed_or_that_nobody_made():
    TRAIN.write_text("by hand")
    with pytest.raises(UserError, match="changed since"):
        whole()
    Store().place_of_note(TRAIN).unlink()
    with pytest.raises(UserError, match="no record"):
        whole()


def test_the_statement_names_files():
    told = provenance(whole(), {"lock.txt": "e" * 64})
    subjects = {one["name"]: one["digest"]["sha256"] for one in told["subject"]}
    assert subjects.pop("results/tiny/model/weights.bin") == of_file(MODEL / "weights.bin")
    assert set(subjects) == {str(SEEDS), str(TRAIN), "results/tiny/model/deep/config.json"}
    build = told["predicate"]["buildDefinition"]
    needed = {one["name"] for one in build["resolvedDependencies"]}
    assert needed == {"code/a.py", "envs/lock.txt"}, "a directory is named by its files"
    assert build["externalParameters"]["config"] == CONFIG
    assert build["internalParameters"][str(TRAIN)]["rule"] == "write"


def test_sources_are_what_no_rule_made():
    assert set(sources(whole()["artifacts"])) == {"code", "code/a.py"}


def test_artifacts_come_after_what_they_are_made_from():
    artifacts = {n: {"inputs": dict.fromkeys(needed)} for n, needed in ORDER.items()}
    order = in_order(artifacts)
    assert sorted(order) == sorted(ORDER)
    places = {name: order.index(name) for name in order}
    assert all(places[i] < places[n] for n, needed in ORDER.items() for i in needed if i in ORDER)


ORDER = {"a": ["d", "source"], "b": ["a"], "c": ["b", "a"], "d": []}


def test_a_difference_says_both_digests_and_actions():
    made = {"sha256": "1" * 64, "rule": "write", "action": "2" * 64}
    text = str(Difference("x", made, "3" * 64, "4" * 64, ["parameter a: 1 -> 2"]))
    assert all(digit * 64 in text for digit in "1234") and "parameter a: 1 -> 2" in text
    assert "not made" in str(Difference("x", made, "", "", []))


EMPTY = {"run": "x", "config": {}, "environment": "", "artifacts": {}}


@pytest.mark.parametrize(
    "told", [None, [], {}, {"run": "x", "artifacts": {}}, *({**EMPTY, k: []} for k in EMPTY)]
)
def test_what_is_no_manifest(told):
    with pytest.raises(UserError, match="not a manifest"):
        check_shape(told, Path("theirs.json"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "1" * 63),
        ("action", "../" * 21 + "x"),
        ("rule", None),
        ("code", 1),
        ("params", []),
        ("inputs", [str(TRAIN)]),
        ("inputs", {str(SEEDS): 1}),
        ("inputs", None),
    ],
)
def test_an_entry_of_another_shape_is_named(key, value):
    told = whole()
    told["artifacts"][str(TRAIN)][key] = value
    with pytest.raises(UserError, match=f"not a manifest: artifacts -> {TRAIN} -> {key}"):
        check_shape(told, Path("theirs.json"))
    del told["artifacts"][str(TRAIN)][key]
    with pytest.raises(UserError, match=f"{TRAIN}: '{key}' is a required property"):
        check_shape(told, Path("theirs.json"))


@pytest.mark.parametrize(
    "path", ["../outside.txt", "code/../../outside.txt", "/outside.txt", "..", ".", ""]
)
def test_a_path_that_leads_elsewhere_is_refused_by_name(path):
    as_artifact, as_input = whole(), whole()
    as_artifact["artifacts"][path] = as_artifact["artifacts"].pop(str(MODEL))
    as_input["artifacts"][str(TRAIN)]["inputs"][path] = "1" * 64
    for told in (as_artifact, as_input):
        with pytest.raises(UserError, match=r"leads out|is absolute") as refused:
            check_shape(told, Path("theirs.json"))
        assert str(refused.value).startswith(f"{path}: ")


@pytest.mark.parametrize("path", ["results", "results/tiny", ".aiev", "resources", "ledger/ab"])
def test_an_input_is_not_linked_to_where_a_run_writes(path):
    told = whole()
    told["artifacts"][str(TRAIN)]["inputs"][path] = "1" * 64
    with pytest.raises(UserError, match="where the run itself writes"):
        check_shape(told, Path("theirs.json"))


def test_artifacts_that_are_made_from_each_other():
    told = whole()
    told["artifacts"][str(SEEDS)]["inputs"][str(TRAIN)] = "1" * 64
    with pytest.raises(UserError, match="made from each other"):
        check_shape(told, Path("theirs.json"))
