"""The config: every key described, every mistake named, every shipped file right."""

import copy
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from config_walk import KEYS, SECTIONS

from aiev.config.checks import doubts
from aiev.config.load import check_config, read_config
from aiev.core.errors import UserError
from aiev.seeds.settings import SOURCE

CONFIG = Path(__file__).parents[3] / "config"
RUNS = sorted(CONFIG.glob("*.yaml"))
RUNS = [path for path in RUNS if path.name not in ("schema.yaml", "resources.yaml")]
SOURCES = {name: SOURCE.config(name) for name in SOURCE.registry.names()}


def checked(config: dict) -> dict:
    check_config(config, CONFIG)
    return config


def default() -> dict:
    """The defaults, one of each section whose name is free, by its name in the walk, and those that
    may be left out."""
    config = checked({"execution": {"prices": {"humaneval": {}}}, "training": {"lora": {}}})
    del config["resources"]
    return config


def at(config: dict, path) -> dict:
    for name in path:
        config = config[name]
    return config


def put(path, value) -> dict:
    """The defaults but for one key."""
    config = default()
    at(config, path[:-1])[path[-1]] = value
    return config


def mistake(config: dict) -> UserError:
    with pytest.raises(UserError) as caught:
        check_config(config, CONFIG)
    return caught.value


def required(kind: str) -> list[str]:
    return [name for name, field in SOURCES[kind].model_fields.items() if field.is_required()]


def source(kind: str) -> dict:
    """A source of seeds with the keys that it must have."""
    values = {"licence": "MIT", "resource": "seeds-algorithms", "path": str(CONFIG)}
    pinned = {"revision": "0" * 40} if kind == "hub" else {}
    return {"kind": kind, **pinned, **{name: values.get(name, "x") for name in required(kind)}}


def test_the_walk_finds_the_sections():
    places = {".".join(path) for path in SECTIONS}
    assert {"", "dialogues", "dialogues.sampling", "models.teacher", "sandbox.limits"} <= places
    assert {"evaluation.benchmarks.humaneval", "execution.prices.humaneval"} <= places
    assert len(SECTIONS) > 20 and len(KEYS) > 90


@pytest.mark.parametrize("path", SECTIONS, ids=".".join)
def test_an_unknown_key_is_named_with_the_known_key_that_it_resembles(path):
    name = max(SECTIONS[path].model_fields, key=len, default=None)
    if name is None or SECTIONS[path].model_config["extra"] == "allow":
        return
    error = mistake(put((*path, name + "x"), 1))
    assert error.message == "unknown key"
    assert error.where == f"config: {'.'.join((*path, name + 'x'))}"
    assert error.hint == f"did you mean {name!r}?"


@pytest.mark.parametrize("path", SECTIONS, ids=".".join)
def test_an_unknown_key_that_resembles_none_lists_the_known_ones(path):
    if SECTIONS[path].model_config["extra"] == "allow":
        return
    error = mistake(put((*path, "qqqqqqqq"), 1))
    assert "qqqqqqqq" in str(error)
    assert all(name in error.hint for name in SECTIONS[path].model_fields)


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_every_key_has_a_description_and_a_default_or_is_required(path):
    assert KEYS[path].description.rstrip().endswith((".", ")")), "a sentence"


@pytest.mark.parametrize("kind", SOURCES)
def test_every_key_of_a_source_has_a_description(kind):
    assert all(field.description.endswith(".") for field in SOURCES[kind].model_fields.values())


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_a_value_of_the_wrong_type_is_named(path):
    is_section = isinstance(at(default(), path), dict)
    error = mistake(put(path, "wrong" if is_section else {"a": ["wrong"]}))
    assert error.where == f"config: {'.'.join(path)}" and "wrong" in error.message
    value_elsewhere = error.hint.startswith("null leaves the parameter out")
    meaning = f"the key's meaning: {KEYS[path].description}"
    assert error.hint == meaning or (value_elsewhere and "request" in path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seeds.shards", 2.5),
        ("seeds.shards", True),
        ("seeds.shards", 0),
        ("seeds.shards", None),
        ("seeds.shards", "2"),
        ("tags.untagged_share", 1.5),
        ("tags.untagged_share", math.nan),
        ("training.learning_rate", "a lot"),
        ("training.learning_rate", math.inf),
        ("training.learning_rate", False),
        ("decontamination.threshold", 0),
        ("name", "../elsewhere"),
        ("name", ""),
        ("name", "a b"),
        ("name", "a" * 101),
        ("execution.ledger.path", ""),
        ("models.student.name", "../elsewhere"),
        ("models.student.name", "a b"),
        ("models.student.name", "{run}"),
        ("models.student.name", ""),
        ("evaluation.benchmarks", {}),
        *(
            ("evaluation.benchmarks", {"h": {"resource": "humaneval", **subset}})
            for subset in (
                {"subset_share": 1},
                {"subset_share": 0},
                {"subset_ids": []},
                {"subset_ids": "HumanEval/0"},
                {"subset": 0},
            )
        ),
        ("evaluation.benchmarks", {"humaneval+": {"resource": "humaneval"}}),
        ("evaluation.benchmarks", {"../mine": {"resource": "humaneval"}}),
        ("evaluation.benchmarks", {5: {"resource": "humaneval"}}),
        ("models.teacher.kind", "sglang"),
        ("models.teacher", {}),
        ("models.teacher", None),
        ("seeds.sources", []),
        ("seeds.sources", [{}]),
        ("seeds.sources", ["wheel"]),
        ("dialogues.recipe", "aiev"),
    ],
    ids=repr,
)
def test_a_bad_value_is_named(path, value):
    assert mistake(put(path.split("."), value)).where.startswith(f"config: {path}")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("name", "A b", ("'A b' has the wrong format", "lower-case letters, digits, dots")),
        ("name", "", ("'' has the wrong format", "lower-case letters, digits, dots")),
        ("seeds.sources", [], ("[] is too short: at least 1 needed", "at least one")),
        ("evaluation.benchmarks", {"../mine": {"resource": "humaneval"}},
         ("'../mine' has the wrong format", "letters, digits, dots")),
        ("models.teacher", {"name": "x", "kind": "openai", "resource": "smollm2-135m",
          "version": "1"}, ("served here", "remove the one")),
    ],
)  # fmt: skip
def test_a_bad_value_is_explained_without_a_pattern(path, value, told):
    error = mistake(put(path.split("."), value))
    assert told[0] in error.message and told[1] in error.hint


def test_the_learning_rate_that_yaml_reads_as_a_string():
    config = yaml.safe_load("training: {learning_rate: 5e-5, epochs: 2}")
    assert checked(config)["training"]["learning_rate"] == 5e-5
    assert config["training"]["epochs"] == 2.0


def test_a_number_with_and_without_a_point_gives_the_same_config():
    one = yaml.safe_load("{duel: {temperature: 1}, gate: {margin: 0}, seeds: {shards: 2}}")
    other = yaml.safe_load("{duel: {temperature: 1.0}, gate: {margin: 0.0}, seeds: {shards: 2.0}}")
    assert json.dumps(checked(one)) == json.dumps(checked(other))


@pytest.mark.parametrize("kind", SOURCES)
def test_the_mistakes_of_a_source_are_those_of_its_kind(kind):
    good = source(kind)
    check_config({"seeds": {"sources": [copy.deepcopy(good)]}}, CONFIG)
    error = mistake({"seeds": {"sources": [{**good, "licnce": "MIT"}]}})
    assert error.message == "unknown key" and error.where == "config: seeds.sources.0.licnce"
    assert error.hint == "did you mean 'licence'?"
    for name in required(kind):
        without = {key: value for key, value in good.items() if key != name}
        error = mistake({"seeds": {"sources": [without]}})
        assert repr(name) in error.message and error.where == "config: seeds.sources.0"
        error = mistake({"seeds": {"sources": [{**good, name: 5}]}})
        assert error.where == f"config: seeds.sources.0.{name}"


def test_a_source_of_an_unknown_kind_lists_the_known_ones():
    error = mistake({"seeds": {"sources": [{"kind": "zip", "licence": "MIT"}]}})
    assert error.where == "config: seeds.sources.0.kind" and "'zip'" in error.message
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


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"models": {"teacher": {"name": "x"}}}, "models.teacher.resource"),
        ({"models": {"student": {"name": "x", "kind": "openai"}}}, "models.student.resource"),
        ({"models": {"teacher": {"name": "x", "kind": "openai", "resource": "smollm2-135m",
          "version": "1"}}}, "models.teacher.version"),
        ({"training": {"micro_batch": 3, "global_batch": 4}}, "training"),
        ({"training": {"scheduler": "linaer"}}, "training.scheduler"),
        ({"seeds": {"min_lines": 50}}, "seeds.min_lines"),
        ({"training": {"deepspeed": "zero9.json"}}, "training.deepspeed: zero9.json"),
        ({"seeds": {"sources": [{"kind": "directory", "path": "cod", "licence": "MIT"}]}},
         "seeds.sources.0.path"),
        ({"seeds": {"sources": [{"kind": "directory", "path": ".", "licence": "GPL-3.0-only"}]}},
         "seeds.sources.0.licence"),
        ({"seeds": {"licences": ["ISC"]}}, "seeds.sources.0.licence"),
        ({"models": {"student": {"name": "s", "checkpoint": "~/model"}}},
         "models.student.checkpoint: ~/model"),
        ({"evaluation": {"style": "completion"}}, "evaluation.style"),
        ({"evaluation": {"base_styles": ["chatty"]}}, "evaluation.base_styles"),
        *(({"evaluation": {"benchmarks": {"h": {"resource": "humaneval", **two}}}},
           "evaluation.benchmarks.h") for two in (
            {"subset": 2, "subset_share": 0.5}, {"subset_ids": ["HumanEval/0"], "subset": 1})),
    ],
)  # fmt: skip
def test_a_contradiction_is_found_before_anything_is_paid_for(config, where):
    error = mistake(config)
    assert error.where == f"config: {where}" and error.hint


FAULTY_DEEPSPEED = {
    "": "not JSON",
    "[]": "a JSON object is needed",
    '"auto"': "a JSON object is needed",
    '{"zero_optimization": 3}': "zero_optimization should be an object",
    '{"zero_optimization": {"stage": 4}}': "zero_optimization.stage is 4",
    '{"zero_optimization": {"sub_group_size": "auto"}}': "sub_group_size is 'auto', and a number",
    '{"train_micro_batch_size_per_gpu": 8}': "train_micro_batch_size_per_gpu is 8, and not 2",
    '{"gradient_accumulation_steps": 4}': "gradient_accumulation_steps is 4, and not 2",
    '{"train_batch_size": 16}': "train_batch_size is 16, and not 4",
    '{"gradient_clipping": 0.5}': "gradient_clipping is 0.5, and not 1.0",
    '{"bf16": {"enabled": true}}': "bf16.enabled is True, and not False",
    '{"optimizer": {"params": {"lr": 3e-4}}}': "optimizer.params.lr is 0.0003, and not 5e-05",
    '{"scheduler": {"params": {"warmup_num_steps": 9}}}': "the number of dialogues decides it",
}


@pytest.mark.parametrize("text", FAULTY_DEEPSPEED)
def test_a_deepspeed_file_that_would_end_the_training(text, tmp_path):
    path = tmp_path / "zero.json"
    path.write_text(text, "utf-8")
    error = mistake({"training": {"deepspeed": str(path), "micro_batch": 2, "global_batch": 4}})
    assert FAULTY_DEEPSPEED[text] in error.message and error.hint
    assert error.where == f"config: training.deepspeed: {path}"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"zero_optimization": {"stage": 1, "offload_optimizer": null}, "optimizer": null}',
        '{"zero_optimization": {"reduce_bucket_size": 5e8}, "train_batch_size": 4}',
        '{"optimizer": {"type": "AdamW", "params": {"lr": 0.00005, "betas": [0.9, 0.999]}}}',
    ],
)
def test_a_deepspeed_file_that_agrees_with_the_config(text, tmp_path):
    path = tmp_path / "zero.json"
    path.write_text(text, "utf-8")
    checked({"training": {"deepspeed": str(path), "global_batch": 4}})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "resources.yaml"),
        ("a: [", "resources.yaml"),
        ("- a", "resources.yaml"),
        ("mine", "resources.yaml"),
        ("mine: {sha256: 00}", "resources.yaml: mine"),
        ("mine:", "resources.yaml: mine"),
    ],
)
def test_a_bad_declaration_of_files_is_named(text, where, tmp_path):
    (tmp_path / "resources.yaml").write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        check_config({}, tmp_path)
    assert caught.value.where == f"{tmp_path}/{where}" and caught.value.hint


def test_more_shards_than_there_are():
    error = mistake({"rounds": {"count": 2, "dialogues": 24}, "seeds": {"shards": 3}})
    assert error.where == "config: seeds.shards" and "4 shards" in error.message


def test_a_round_that_is_no_whole_number_of_shards():
    error = mistake({"rounds": {"dialogues": 25}})
    assert error.where == "config: rounds.dialogues" and "multiple of 12" in error.hint


def test_defaults_fill_every_key():
    config = default()
    for path, model in SECTIONS.items():
        assert set(model.model_fields) <= set(at(config, path)), path


@pytest.mark.parametrize("kind", SOURCES)
def test_checking_twice_changes_nothing(kind):
    config = checked({"seeds": {"sources": [source(kind)]}})
    before = copy.deepcopy(config)
    assert checked(config) == before


def test_a_change_of_one_config_changes_no_other():
    first = checked({})
    unchanged = copy.deepcopy(first)
    first["seeds"]["sources"].append("changed")
    first["evaluation"]["benchmarks"]["humaneval"]["subset"] = 99
    assert checked({}) == unchanged != first


def test_limits_of_scoring_that_are_given_in_part_keep_the_wide_defaults():
    wide = checked({})["evaluation"]["scoring"]["limits"]
    assert wide["cpu_seconds"] == 1800 and wide["memory_mib"] == 6144
    given = {"evaluation": {"scoring": {"limits": {"wall_seconds": 3600}}}}
    assert checked(given)["evaluation"]["scoring"]["limits"] == {**wide, "wall_seconds": 3600}


NOT_CONFIGS = {
    "gone": (None, "no such config"),
    "not YAML": (b"name: [", "not YAML: while parsing"),
    "deep": (b"[" * 100_000, "not YAML: "),
    "not UTF-8": (b"\xff", "not UTF-8"),
    "UTF-16": ("name: x".encode("utf-16"), "not UTF-8"),
    "a list": (b"- name", "a mapping of keys is needed, not a list"),
    "a word": (b"name", "a mapping of keys is needed, not text"),
    "a typo": (b"nmae: x", "did you mean 'name'?"),
    "a number for a key": (b"{5: x}", "nope.yaml: 5"),
    "empty": (b"", "the config is empty"),
    "nothing but a comment": (b"# name: x", "write {} to take all defaults"),
    "a source that is not there": (
        b"seeds: {sources: [{kind: jsonl, path: no, field: text, licence: MIT}]}",
        "nope.yaml: seeds.sources.0.path",
    ),
}


@pytest.mark.parametrize("kind", NOT_CONFIGS)
def test_a_file_that_is_no_config(kind, tmp_path, monkeypatch):
    content, message = NOT_CONFIGS[kind]
    monkeypatch.chdir(CONFIG.parent)
    path = tmp_path / "nope.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert message in str(caught.value) and caught.value.where


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ({"checkpoint": "nowhere", "resource": ""}, "no such directory"),
        ({"checkpoint": "~/model", "resource": ""}, "no such directory; `~` is not expanded"),
        ({"checkpoint": "config", "resource": ""}, "not a checkpoint: config.json"),
        ({"checkpoint": "here"}, "both a resource and a checkpoint"),
        ({"chat_template": "chatlm"}, "no chat template is called 'chatlm'"),
        ({"chat_template": "own.jinja"}, "no such chat template"),
    ],
)
def test_a_student_that_is_not_there_is_named_before_the_run(student, words):
    named = {"name": "s", "resource": "smollm2-135m"}
    with pytest.raises(UserError, match=words):
        checked({"models": {"student": {**named, **student}}})


SNAPSHOT = f"""
model: {{hub: maker/model, revision: {"a" * 40}, licence: MIT}}
humaneval: {{file: h, sha256: {"a" * 64}, bytes: 1, licence: MIT, mirrors: [{{kind: url, url: x}}]}}
"""


def test_only_a_student_is_a_model_of_several_files(tmp_path):
    (tmp_path / "resources.yaml").write_text(SNAPSHOT)
    benchmarks = {"humaneval": {"resource": "humaneval"}}
    models = {"teacher": {"name": "t", "kind": "openai"}, "student": {"name": "s"}}
    sources = [{"kind": "directory", "path": ".", "licence": "MIT"}]
    config = {"models": models, "seeds": {"sources": sources}}
    config["evaluation"] = {"benchmarks": benchmarks}
    models["student"]["resource"] = "model"
    check_config(copy.deepcopy(config), tmp_path)
    models["teacher"] = {"name": "t", "resource": "model"}
    with pytest.raises(UserError, match="model is a model of several files") as caught:
        check_config(config, tmp_path)
    assert caught.value.where == "config: models.teacher.resource"


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_shipped_run_passes(path, monkeypatch):
    monkeypatch.chdir(CONFIG.parent)  # what a config names lies in the checkout
    assert checked(yaml.safe_load(path.read_text("utf-8")))["resources"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\nseed: 1\nname: b\n", "'name' is given twice, first in line 1"),
        ("training:\n  epochs: 1\n  epochs: 2\n", "'epochs' is given twice, first in line 2"),
        ("seeds: {sources: [{kind: wheel, kind: jsonl}]}\n", "'kind' is given twice"),
        (f"seed: 1{'0' * 5000}\n", "not YAML: "),
        ("name: 2026-02-30\n", "not YAML: "),
        ("training: &a\n  loop: *a\n", "unknown key"),
        ("version: 2024-04-09\n", r'2024-04-09 is a date.*\n.*: version\n.* quotes: "2024-04-09"'),
        ("models: {teacher: {version: 2024-04-09}}\n", "is a date.*\n.*: models.teacher.version"),
        ("seeds: {sources: [{1: x}]}\n", "unknown key: 1 is no text\n.*: seeds.sources.0.1\n"),
        ("on: x\n", "unknown key: True is no text"),
        (
            "resources: {model: {file: m}}\n",
            "files are not declared here\n.*: resources\n.*declare them in config/resources.yaml",
        ),
    ],
)
def test_yaml_that_would_be_misread_is_refused(text, told, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=told):
        read_config(path)


def test_keys_that_an_alias_or_a_merge_repeats_are_not_given_twice(tmp_path):
    path = tmp_path / "run.yaml"
    text = "models:\n  teacher: &m {resource: smollm2-135m, name: a}\n"
    path.write_text(text + "  student: {<<: *m, name: b}\nexecution: {prices: {}}\n", "utf-8")
    config = read_config(path)
    assert config["models"]["student"]["name"] == "b"


@pytest.mark.parametrize(
    ("teacher", "url", "told"),
    [
        ({"kind": "openai", "resource": "smollm2-135m"}, None, True),
        ({"kind": "openai", "resource": "smollm2-135m"}, "https://host.invalid/v1", True),
        ({"kind": "openai", "resource": "smollm2-135m"}, "http://localhost:8000/v1", False),
        ({"kind": "openai"}, None, False),
        ({"kind": "llamacpp", "resource": "smollm2-135m"}, None, False),
    ],
)
def test_answers_of_another_model_under_the_digest_of_a_file_are_doubted(teacher, url, told):
    servers = {"teacher": {"base_url": url}}
    models = {"teacher": {"name": "gpt-4", **teacher}}
    found = [*doubts(checked({"models": models, "execution": {"models": servers}}))]
    assert len(found) == told
    assert all("remove models.teacher.resource" in doubt for doubt in found)


def test_a_budget_in_dollars_needs_prices():
    teacher = {"name": "gpt", "kind": "openai"}
    price = {"prompt_usd_per_million": 10, "completion_usd_per_million": 30}

    def run(**execution) -> dict:
        return {"models": {"teacher": dict(teacher)}, "execution": execution}

    error = mistake(run(budget={"usd": 5}))
    assert "'gpt'" in error.message and error.where == "config: execution.prices"
    found = checked(run(budget={"usd": 5}, prices={"gpt": price}))["execution"]
    assert found["prices"]["gpt"] == price
    assert checked(run(budget={"tokens": 5}))["execution"]["budget"] == {"usd": None, "tokens": 5}


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("user", ["me:pass-word", "pass-word", ":pass-word"])
def test_an_address_with_a_password_is_refused_and_not_shown(user, role):
    path = ("execution", "models", role, "base_url")
    error = mistake(put(path, f"https://{user}@host.invalid/v1"))
    assert error.where == f"config: {'.'.join(path)}" and "OPENAI_API_KEY" in error.hint
    assert "pass-word" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:8000/v1", "ftp://host/v1", "http://", "https:///v1", "http://:80/v1"),
        *("http://[1/v1", "http://host:port/v1", "http://host:99999/v1", "http://ho st/v1"),
        *("http://host/v1\n", "host.invalid"),
    ],
)
def test_an_address_that_is_no_url_is_refused_and_shown(url):
    path = ("execution", "models", "teacher", "base_url")
    error = mistake(put(path, url))
    assert error.where == f"config: {'.'.join(path)}" and "http://localhost" in error.hint
    assert error.message == f"base_url is {url!r}, and not an http or https URL with a host"


@pytest.mark.parametrize("url", ["me:pass-word@host", "http://[1?api_key=pass-word"])
def test_an_address_that_is_no_url_and_holds_a_password_is_not_shown(url):
    error = mistake(put(("execution", "models", "teacher", "base_url"), url))
    assert "OPENAI_API_KEY" in error.hint and "pass-word" not in str(error)


@pytest.mark.parametrize("url", [None, "http://localhost:8000/v1", "https://[::1]/v1?version=2"])
def test_an_address_that_is_a_url_passes(url):
    checked(put(("execution", "models", "teacher", "base_url"), url))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("config/recorded/no-such-file.jsonl", "no such file"),
        ("x" * 300, "no such file"),
        (str(CONFIG), "this is a directory, and a file is needed"),
    ],
)
def test_a_recorded_round_that_is_no_file(path, told):
    error = mistake(put(("rounds", "recorded"), path))
    assert error.message == told and error.where == f"config: rounds.recorded: {path}"


def test_a_directory_is_no_config(tmp_path):
    with pytest.raises(UserError, match="this is a directory, and a file is needed"):
        read_config(tmp_path)


def test_a_config_whose_name_is_too_long_for_a_file():
    with pytest.raises(UserError, match="no such config"):
        read_config(Path("x" * 300))


@pytest.mark.parametrize("row", ['{"seed": "text"}', '{"seed": {}}', "[]", "nonsense", "{}"])
def test_a_recorded_row_that_is_no_dialogue_is_named(row, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"seed": {"id": "a"}}\n' + row + "\n", "utf-8")
    error = mistake(put(("rounds", "recorded"), str(path)))
    assert error.where == f"config: rounds.recorded: {path}, line 2" and error.hint


OLD = {
    "ledger": {"mode": "replay"},
    "prices": {},
    "budget": {"usd": 5},
    "models": {
        "teacher": {"name": "x", "kind": "openai", "base_url": "http://x", "slots": 9},
        "student": {"name": "y", "resource": "smollm2-135m", "timeout_seconds": 5},
    },
    "dialogues": {"in_flight": 3},
    "sandbox": {"docker": {"containers": 2, "runs": 3}},
    "evaluation": {
        "most_inputs": 5,
        "benchmarks": {"humaneval": {"resource": "humaneval"}},
        "scoring": {"parallel": 3},
    },
    "training": {"checkpoint_steps": 5},
}


def test_an_old_config_is_refused_with_the_new_place_of_each_key():
    error = mistake(copy.deepcopy(OLD))
    lines = {tuple(line.split()) for line in str(error).splitlines() if "->" in line}
    assert lines == {
        ("ledger", "->", "execution.ledger"),
        ("prices", "->", "execution.prices"),
        ("budget", "->", "execution.budget"),
        ("models.teacher.base_url", "->", "execution.models.teacher.base_url"),
        ("models.teacher.slots", "->", "execution.models.teacher.slots"),
        ("models.student.timeout_seconds", "->", "execution.models.student.timeout_seconds"),
        ("dialogues.in_flight", "->", "execution.in_flight"),
        ("sandbox.docker.containers", "->", "execution.containers.count"),
        ("sandbox.docker.runs", "->", "execution.containers.runs"),
        ("evaluation.scoring.parallel", "->", "execution.scoring_slots"),
        ("training.checkpoint_steps", "->", "execution.training.checkpoint_steps"),
        ("evaluation.most_inputs", "->", "evaluation.benchmarks.humaneval.max_inputs"),
    }


def test_an_old_config_passes_once_its_keys_are_moved():
    error, config = mistake(copy.deepcopy(OLD)), copy.deepcopy(OLD)
    for line in str(error).splitlines():
        if "->" in line:
            old, new = ([*part.split(".")] for part in line.replace(" ", "").split("->"))
            value = at(config, old[:-1]).pop(old[-1])
            place = config
            for name in new[:-1]:
                place = place.setdefault(name, {})
            place[new[-1]] = value
    config["execution"]["prices"] = {"x": {}}
    execution = checked(config)["execution"]
    assert execution["containers"] == {"count": 2, "runs": 3} and execution["scoring_slots"] == 3


@pytest.mark.parametrize("value", ["text", 5, None, [], {"teacher": 5}])
def test_moved_keys_are_looked_for_in_anything(value):
    assert mistake({"models": value}).where.startswith("config: models")


def test_the_schema_is_current():
    """`aiev schema` writes it."""
    from aiev.config import schema

    assert (CONFIG / "schema.yaml").read_text("utf-8") == schema.text()


def test_the_schema_describes_every_key():
    schema = yaml.safe_load((CONFIG / "schema.yaml").read_text("utf-8"))
    for path in KEYS:
        part = schema
        for name in path:
            kinds = part.get("oneOf") or part.get("anyOf") or [part]
            part = next((kind for kind in kinds if name in kind.get("properties", {})), kinds[0])
            free = part.get("patternProperties") or {name: part["additionalProperties"]}
            part = part.get("properties", {}).get(name) or next(iter(free.values()))
        assert part["description"] == KEYS[path].description, path


def test_what_rules_read_imports_nothing_heavy():
    """A dry run works, and is fast, wherever Snakemake is installed."""
    root = CONFIG.parent
    rules = [root / "Snakefile", *(root / "rules").glob("*.smk")]
    texts = "\n".join(path.read_text("utf-8") for path in rules)
    imports = re.findall(r"^from aiev[\w.]* import (?:\([^)]*\)|.*)$", texts, re.MULTILINE)
    assert len(imports) >= texts.count("\nfrom aiev") > 10
    registries = (
        "from aiev.evaluation.settings import BENCHMARK as B; from aiev.seeds.settings import "
        "SOURCE as S; from aiev.config.run import RECIPE as R, TEACHER as T; "
        "[c.registry.get(n) for c in (B, S, R, T) for n in c.registry.names()]; "
    )
    heavy = {"torch", "transformers", "docker", "datasets", "openai", "numpy", "evalplus"}
    code = "\n".join(["import sys", *imports, registries])
    code += f"print(sorted({heavy!r} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=CONFIG.parent / "scripts"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_a_kind_of_source_from_a_file_outside_brings_its_own_keys(tmp_path):
    path = tmp_path / "gist.py"
    path.write_text(
        "from pydantic import Field\n"
        "from aiev.core.settings import Section\n\n\n"
        "class Source:\n"
        "    class Config(Section):\n"
        "        depth: int = Field(1, ge=1, description='How deep.')\n\n"
        "    @staticmethod\n"
        "    def inputs(config):\n"
        "        return []\n"
    )
    mine = {"kind": str(path), "licence": "MIT"}
    config = checked({"seeds": {"sources": [dict(mine)]}})
    assert config["seeds"]["sources"] == [{**mine, "depth": 1}]
    error = mistake({"seeds": {"sources": [{**mine, "dept": 2}]}})
    assert error.hint == "did you mean 'depth'?"
    shutil.copy(path, tmp_path / "broken.py")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    error = mistake({"seeds": {"sources": [{**mine, "kind": str(tmp_path / "broken.py")}]}})
    assert error.where == "config: seeds.sources.0.kind" and "no_such_module" in error.message


def test_an_endpoint_kind_from_a_file_outside_brings_its_own_keys(tmp_path):
    path = tmp_path / "relay.py"
    path.write_text(
        "from pydantic import Field\n"
        "from aiev.core.settings import Section\n\n\n"
        "class Kind:\n"
        "    needs_weights = False\n\n"
        "    class Config(Section):\n"
        "        region: str = Field(description='Where it is.')\n"
    )
    teacher = {"name": "x", "kind": str(path), "region": "north"}
    found = checked({"models": {"teacher": dict(teacher)}})["models"]["teacher"]
    assert teacher.items() <= found.items() and found["context_tokens"] == 4096
    error = mistake({"models": {"teacher": {"name": "x", "kind": str(path)}}})
    assert "'region'" in error.message and error.where == "config: models.teacher"
    error = mistake({"models": {"teacher": {**teacher, "kind": "openai"}}})
    assert error.where == "config: models.teacher.region" and error.message == "unknown key"
    error = mistake({"models": {"teacher": teacher}, "execution": {"budget": {"usd": 1}}})
    assert error.where == "config: execution.prices"
