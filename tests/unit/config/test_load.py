"""The config and its schema: every key described, every mistake named, every shipped file right."""

import copy
import math
import shutil
from pathlib import Path

import pytest
import yaml

from aiev.config.load import check_config, read_config
from aiev.core.errors import UserError
from aiev.llm.endpoints.openai import remote

CONFIG = Path(__file__).parents[3] / "config"
SCHEMA = yaml.safe_load((CONFIG / "schema.yaml").read_text("utf-8"))
RUNS = sorted(CONFIG.glob("*.yaml"))
RUNS = [path for path in RUNS if path.name not in ("schema.yaml", "resources.yaml")]


def checked(config: dict) -> dict:
    check_config(config, CONFIG)
    return config


DEFAULT = checked({})


def default() -> dict:
    """The defaults, and one of each object whose name is free, by the name of `objects`."""
    return checked({"prices": {"humaneval": {}}})


def resolved(part: dict) -> dict:
    """A part of the schema with its reference followed; its own keys come first."""
    name = part.get("$ref", "").rpartition("/")[2]
    return {**SCHEMA["$defs"][name], **part} if name else part


def objects(part=None, path=()):
    """(path in a config, schema) of every object; a list's items and any key's value included."""
    part = resolved(part or SCHEMA)
    kinds = part.get("type", [])
    if "object" in kinds:
        yield path, part
    for name, child in part.get("properties", {}).items():
        yield from objects(child, (*path, name))
    if isinstance(part.get("additionalProperties"), dict):
        yield from objects(part["additionalProperties"], (*path, "humaneval"))


OBJECTS = dict(objects())
SOURCES = {
    shape["properties"]["kind"]["const"]: shape for shape in SCHEMA["$defs"]["source"]["oneOf"]
}


def at(config: dict, path) -> dict:
    for name in path:
        config = config[name]
    return config


def mistake(config: dict) -> UserError:
    with pytest.raises(UserError) as caught:
        check_config(config, CONFIG)
    return caught.value


def source(kind: str) -> dict:
    """A source of seeds that has what it must have."""
    values = {"kind": kind, "licence": "MIT", "resource": "seeds-algorithms"}
    return {name: values.get(name, "x") for name in SOURCES[kind]["required"]}


def test_the_walk_sees_the_whole_schema():
    assert () in OBJECTS and ("dialogues", "sampling") in OBJECTS
    assert ("models", "teacher") in OBJECTS and ("sandbox", "limits") in OBJECTS
    assert ("evaluation", "benchmarks", "humaneval") in OBJECTS and len(OBJECTS) > 15


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_an_unknown_key_is_named_with_what_was_meant(path):
    known = list(OBJECTS[path].get("properties", {}))
    if not known:  # free names, such as those of the benchmarks
        assert isinstance(OBJECTS[path]["additionalProperties"], dict)
        return
    name = max(known, key=len)
    config = default()
    del config["resources"]
    at(config, path)[name + "x"] = 1
    error = mistake(config)
    assert error.message == "unknown key"
    assert error.where == f"config: {'.'.join((*path, name + 'x'))}"
    assert error.hint == f"did you mean {name!r}?"


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_a_key_like_no_other_is_told_the_known_ones(path):
    known = list(OBJECTS[path].get("properties", {}))
    config = default()
    del config["resources"]
    at(config, path)["qqqqqqqq"] = 1
    error = mistake(config)
    assert "qqqqqqqq" in str(error) and all(name in error.hint for name in known)


LEAVES = {
    (*path, name): child
    for path, part in OBJECTS.items()
    for name, child in part.get("properties", {}).items()
}


def check_key(name: str, child: dict, parent: dict) -> None:
    """It has a description, a type, and a default unless it is required."""
    assert child.get("description", "").rstrip().endswith("."), "a sentence"
    assert "default" in child or name in parent.get("required", [])
    part = resolved(child)
    assert {"type", "enum", "const"} & set(part)
    if "object" in part.get("type", []):
        assert "additionalProperties" in part, "unknown keys are refused, or any name is meant"


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_every_key_has_a_description_and_a_default_or_is_required(path):
    check_key(path[-1], LEAVES[path], OBJECTS[path[:-1]])


@pytest.mark.parametrize("kind", SOURCES)
def test_so_has_every_key_of_a_source(kind):
    shape = SOURCES[kind]
    assert shape["additionalProperties"] is False
    for name, child in shape["properties"].items():
        check_key(name, child, shape)


@pytest.mark.parametrize("path", sorted(set(OBJECTS) - set(LEAVES) - {()}), ids=".".join)
def test_every_object_under_a_free_name_has_a_description(path):
    assert OBJECTS[path].get("description", "").endswith(".")
    assert OBJECTS[path]["additionalProperties"] is False


def test_the_walk_sees_what_has_a_free_name():
    free = {("prices", "humaneval"), ("evaluation", "benchmarks", "humaneval")}
    assert set(OBJECTS) - set(LEAVES) == {(), *free}


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_a_value_of_the_wrong_type_is_named(path):
    config = default()
    del config["resources"]
    at(config, path[:-1])[path[-1]] = {"a": ["wrong"]} if "object" not in resolved(
        LEAVES[path]
    ).get("type", []) else "wrong"  # fmt: skip
    error = mistake(config)
    assert error.where == f"config: {'.'.join(path)}" and "wrong" in error.message
    shared = SCHEMA["$defs"].get(LEAVES[path].get("$ref", "").rpartition("/")[2], {})
    assert error.hint in (LEAVES[path]["description"], shared.get("description"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seeds", "shards"), 2.0),
        (("seeds", "shards"), True),
        (("seeds", "shards"), 0),
        (("seeds", "shards"), None),
        (("seeds", "shards"), "2"),
        (("tags", "untagged_share"), 1.5),
        (("tags", "untagged_share"), math.nan),
        (("training", "learning_rate"), "5e-5"),
        (("training", "learning_rate"), math.inf),
        (("decontamination", "threshold"), 0),
        (("name",), "../elsewhere"),
        (("name",), ""),
        (("name",), "a b"),
        (("models", "student", "name"), "../elsewhere"),
        (("models", "student", "name"), "a b"),
        (("models", "student", "name"), "{run}"),
        (("models", "student", "name"), ""),
        (("evaluation", "benchmarks"), {}),
        (("evaluation", "benchmarks"), {"humaneval+": {"resource": "humaneval"}}),
        (("evaluation", "benchmarks"), {"../mine": {"resource": "humaneval"}}),
        (("models", "teacher", "kind"), "sglang"),
        (("models", "teacher"), {}),
        (("models", "teacher"), None),
        (("seeds", "sources"), []),
        (("seeds", "sources"), [{}]),
        (("seeds", "sources"), ["wheel"]),
    ],
    ids=repr,
)
def test_a_bad_value_is_named(path, value):
    config = default()
    del config["resources"]
    at(config, path[:-1])[path[-1]] = value
    assert mistake(config).where.startswith(f"config: {'.'.join(path)}")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_s_mistakes_are_those_of_its_kind(kind):
    good = source(kind)
    check_config({"seeds": {"sources": [copy.deepcopy(good)]}}, CONFIG)
    error = mistake({"seeds": {"sources": [{**good, "licnce": "MIT"}]}})
    assert error.message == "unknown key" and error.where == "config: seeds.sources.0.licnce"
    assert error.hint == "did you mean 'licence'?"
    for name in SOURCES[kind]["required"]:
        if name != "kind":
            without = {key: value for key, value in good.items() if key != name}
            error = mistake({"seeds": {"sources": [without]}})
            assert repr(name) in error.message and error.where == "config: seeds.sources.0"
            error = mistake({"seeds": {"sources": [{**good, name: 5}]}})
            assert error.where == f"config: seeds.sources.0.{name}"


def test_a_source_of_an_unknown_kind_is_told_the_known_ones():
    error = mistake({"seeds": {"sources": [{"kind": "wheels", "licence": "MIT"}]}})
    assert error.where == "config: seeds.sources.0.kind" and "'wheels'" in error.message
    assert all(kind in str(error) for kind in SOURCES)


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"models": {"teacher": {"name": "x", "resource": "smollm2-135"}}},
         "models.teacher.resource"),
        ({"seeds": {"sources": [{"kind": "wheel", "resource": "seeds-bolton", "licence": "MIT"}]}},
         "seeds.sources.0.resource"),
        ({"evaluation": {"benchmarks": {"h": {"resource": "humanevl"}}}},
         "evaluation.benchmarks.h.resource"),
    ],
)  # fmt: skip
def test_a_resource_that_is_not_declared(config, where):
    error = mistake(config)
    assert error.where == f"config: {where}" and "did you mean" in error.hint


def test_a_local_model_without_weights():
    assert "weights" in mistake({"models": {"teacher": {"name": "x"}}}).message


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"models": {"student": {"name": "x", "kind": "openai"}}}, "models.student.resource"),
        ({"models": {"teacher": {"name": "x", "kind": "openai", "resource": "smollm2-135m",
          "version": "1"}}}, "models.teacher.version"),
        ({"training": {"micro_batch": 3, "global_batch": 4}}, "training"),
        ({"training": {"scheduler": "linaer"}}, "training.scheduler"),
    ],
)  # fmt: skip
def test_a_contradiction_is_found_before_anything_is_paid(config, where):
    assert mistake(config).where == f"config: {where}"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "resources.yaml"),
        ("a: [", "resources.yaml"),
        ("- a", "resources.yaml"),
        ("mine: {sha256: 00}", "resources.yaml: mine"),
        ("mine:", "resources.yaml: mine"),
    ],
)
def test_a_bad_declaration_of_files_is_named(text, where, tmp_path):
    shutil.copyfile(CONFIG / "schema.yaml", tmp_path / "schema.yaml")
    (tmp_path / "resources.yaml").write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        check_config({}, tmp_path)
    assert caught.value.where == f"{tmp_path}/{where}"


def test_more_shards_than_there_are():
    error = mistake({"rounds": {"count": 2, "dialogues": 24}, "seeds": {"shards": 3}})
    assert error.where == "config: seeds.shards" and "4 shards" in error.message


def test_a_round_that_is_no_whole_number_of_shards():
    error = mistake({"rounds": {"dialogues": 25}})
    assert error.where == "config: rounds.dialogues" and "multiple of 12" in error.hint


def test_defaults_fill_every_key():
    config = default()
    for path, part in OBJECTS.items():
        assert set(part.get("properties", {})) <= set(at(config, path)), path


@pytest.mark.parametrize("kind", SOURCES)
def test_checking_twice_changes_nothing(kind):
    config = {"seeds": {"sources": [source(kind)]}}
    check_config(config, CONFIG)
    assert set(config["seeds"]["sources"][0]) <= set(SOURCES[kind]["properties"])
    resources = config.pop("resources")
    before = copy.deepcopy(config)
    check_config(config, CONFIG)
    assert config == {**before, "resources": resources}


def test_the_defaults_are_the_same_each_time():
    first = checked({})
    first["seeds"]["sources"].append("changed")
    first["models"]["teacher"]["slots"] = 99
    assert checked({}) == DEFAULT != first


NO_CONFIGS = {
    "gone": (None, "no such config"),
    "not YAML": (b"name: [", "not YAML: while parsing"),
    "deep": (b"[" * 100_000, "not YAML: "),
    "not UTF-8": (b"\xff", "not UTF-8"),
    "a list": (b"- name", "a mapping of keys"),
    "a typo": (b"nmae: x", "did you mean 'name'?"),
}


@pytest.mark.parametrize("kind", NO_CONFIGS)
def test_what_is_no_config_is_told_in_words(kind, tmp_path, monkeypatch):
    content, told = NO_CONFIGS[kind]
    monkeypatch.chdir(CONFIG.parent)
    path = tmp_path / "nope.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert told in str(caught.value) and caught.value.where


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_shipped_run_passes(path, monkeypatch):
    monkeypatch.chdir(CONFIG.parent)  # what a config names lies in the checkout
    config = yaml.safe_load(path.read_text("utf-8"))
    check_config(config, CONFIG)
    assert config["resources"]


def test_the_laptop_run_has_only_keys_of_the_schema():
    """check_config says so too; this one is independent of it."""

    def check(config, path):
        part = OBJECTS.get(path)
        if part is None or not isinstance(config, dict):
            return
        for name, value in config.items():
            if part.get("properties"):
                assert name in part["properties"], (*path, name)
            check(value, (*path, name))

    check(yaml.safe_load((CONFIG / "config.yaml").read_text("utf-8")), ())


def test_a_budget_in_dollars_needs_prices():
    teacher = {"name": "gpt", "kind": "openai"}
    price = {"prompt_usd_per_million": 10, "completion_usd_per_million": 30}
    config = {"models": {"teacher": teacher}, "budget": {"usd": 5}}
    told = mistake(copy.deepcopy(config))
    assert "'gpt'" in told.message and told.where == "config: prices"
    assert checked({**config, "prices": {"gpt": price}})["prices"]["gpt"] == price
    assert checked({**config, "budget": {"tokens": 5}})["budget"] == {"usd": None, "tokens": 5}


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("user", ["me:pass-word", "pass-word", ":pass-word"])
def test_an_address_holds_no_password_and_it_is_not_shown(user, role):
    config = checked({})
    del config["resources"]
    config["models"][role]["base_url"] = f"https://{user}@host.invalid/v1"
    error = mistake(config)
    assert error.where == f"config: models.{role}.base_url" and "OPENAI_API_KEY" in error.hint
    assert "pass-word" not in str(error)


def test_an_address_in_the_environment_holds_no_password_either(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:pass-word@host.invalid/v1")
    endpoint = remote({"name": "m", "version": "1", "base_url": None, "slots": 1})
    with pytest.raises(UserError) as caught:
        endpoint.start()
    assert "OPENAI_BASE_URL" in caught.value.where and "pass-word" not in str(caught.value)


def test_a_recorded_round_that_is_not_there_is_an_error():
    config = default()
    del config["resources"]
    config["rounds"]["recorded"] = "config/recorded/no-such-file.jsonl"
    error = mistake(config)
    assert error.message == "no such file" and "no-such-file.jsonl" in error.where
