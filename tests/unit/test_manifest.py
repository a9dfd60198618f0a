"""The manifest says how every artifact was made, the same in every place."""

from pathlib import Path

import pytest

from aiev.action import Action, Store, key_of
from aiev.digests import of_file, of_path
from aiev.errors import UserError
from aiev.manifest import manifest, provenance, sources
from aiev.records import write_text
from aiev.verification import Difference, check_shape, in_order

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
    told = provenance(whole(), "envs/lock.txt")
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


@pytest.mark.parametrize("told", [None, [], {}, {"run": "x", "artifacts": {}}])
def test_what_is_no_manifest(told):
    with pytest.raises(UserError, match="not a manifest"):
        check_shape(told, Path("theirs.json"))
