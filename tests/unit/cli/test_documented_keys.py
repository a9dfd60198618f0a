"""The config keys that the docs name exist."""

import re
from functools import cache

import pytest
import yaml
from command import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def places(schema: dict, path: tuple[str, ...] = ()) -> set[str]:
    """Dotted keys of a schema; * for a name that the user chooses."""
    found = {".".join(path)} if path else set()
    for name, part in schema.get("properties", {}).items():
        found |= places(part, (*path, name))
    if isinstance(more := schema.get("additionalProperties"), dict):
        found |= places(more, (*path, "*"))
    for more in schema.get("patternProperties", {}).values():
        found |= places(more, (*path, "*"))
    for part in schema.get("oneOf", []) + schema.get("anyOf", []):
        found |= places(part, path)
    if isinstance(items := schema.get("items"), dict):
        found |= places(items, path)
    return found


@cache
def known_places() -> frozenset[str]:
    return frozenset(places(yaml.safe_load((ROOT / "config/schema.yaml").read_text("utf-8"))))


def is_place(key: str) -> bool:
    """Whether a key is in the schema, a role or another name of the user's standing for *."""
    parts = key.split(".")
    for known in known_places():
        wanted = known.split(".")
        if len(wanted) == len(parts) and all(
            one in ("*", other) for one, other in zip(wanted, parts, strict=True)
        ):
            return True
    return False


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name
)
def test_config_keys_exist(page):
    """Dotted names between backticks that start with a section; a table of moved keys has a left
    column of keys that do not exist any more."""
    sections = {place for place in known_places() if "." not in place}
    text = page.read_text("utf-8").partition("## Keys that moved")[0]
    spans = re.findall(r"`([a-z_]+(?:\.[a-zA-Z_*]+)+)(?:: [^`]*)?`", FENCE.sub("", text))
    keys = [key for key in spans if key.partition(".")[0] in sections]
    files = (".json", ".jsonl", ".svg", ".md", ".py", ".yaml")
    assert [key for key in keys if not key.endswith(files) and not is_place(key)] == []


def test_the_examples_of_configs_have_keys_that_exist():
    def leaves(value, path=()):
        if not isinstance(value, dict):
            yield ".".join(path)
            return
        for name, part in value.items():
            yield from leaves(part, (*path, str(name).replace(".", "-")))

    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    examples = [yaml.safe_load(block) for kind, block in FENCE.findall(text) if kind == "yaml"]
    assert examples
    assert [key for each in examples for key in leaves(each) if not is_place(key)] == []
