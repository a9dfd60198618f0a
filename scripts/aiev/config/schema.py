"""config/schema.yaml: a JSON Schema of the config, generated from the models.

It is for editors and readers; what checks a config are the models themselves.
"""

from pathlib import Path
from typing import Any

import yaml

from aiev.config.run import RunConfig
from aiev.core.settings import json_schema

PATH = Path("config/schema.yaml")

_HEADER = """\
# Every key of a config: what it means, its type, its default. Unknown keys stop the run.
# Generated from the models in scripts/aiev/*/settings.py by `aiev schema --write`; do not edit.
"""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text() -> str:
    """The schema as YAML."""
    schema = {"$schema": _DIALECT, **_readable(json_schema(RunConfig))}
    return _HEADER + yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=100)


def write(path: Path = PATH) -> bool:
    """Write the schema; returns whether the file was out of date."""
    current = path.read_text("utf-8") if path.exists() else ""
    if current == text():
        return False
    path.write_text(text(), "utf-8")
    return True


def _readable(part: Any, names: bool = False) -> Any:
    """The schema with the description first, and without the defaults of whole sections, which say
    again what their keys say.

    names: whether the keys of `part` are the config's own.
    """
    if isinstance(part, list):
        return [_readable(each) for each in part]
    if not isinstance(part, dict):
        return part
    if not names:
        if "properties" in part and "required" not in part:
            part = {key: each for key, each in part.items() if key != "default"}
        order = {"description": 0, "type": 1, "default": 2, "properties": 4}
        part = dict(sorted(part.items(), key=lambda item: order.get(item[0], 3)))
    return {
        key: each if key == "default" and not names else _readable(each, key == "properties")
        for key, each in part.items()
    }
