"""Reads a config, checks it, and fills in its defaults."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from aiev.config.checks import check_run
from aiev.config.moved import check_moved
from aiev.config.run import RunConfig
from aiev.core.errors import UserError
from aiev.core.files import check_file, read_text
from aiev.core.settings import checked
from aiev.resources.declare import check_declaration

ANY = "config:"
"""How an error's place begins, before the key, where the config's file is not known."""


def read_config(path: Path) -> dict[str, Any]:
    """The config in a file, checked and with all defaults, and the declarations in config/.

    Raises UserError as `keys_of` and `check_config` do.
    """
    config = keys_of(path)
    check_config(config, Path("config"), path)
    return config


def keys_of(path: Path) -> dict[str, Any]:
    """The keys that a config gives, as they stand there.

    Raises UserError for a file that is missing, empty or not YAML, that gives a key twice, or that
    holds what no key of a config may be.
    """
    hint = "name the config of a run, such as config/config.yaml"
    check_file(path, "no such config", hint)
    config = read_yaml(path)
    if config is None:
        empty = "give it a key, such as `name: mine`, or write {} to take all defaults"
        raise UserError("the config is empty", where=str(path), hint=empty)
    if not isinstance(config, dict):
        message = f"not a config: a mapping of keys is needed, not {_kind(config)}"
        raise UserError(message, where=str(path), hint=hint)
    if "resources" in config:
        here = "declare them in config/resources.yaml, and name them here"
        raise UserError("files are not declared here", where=f"{path}: resources", hint=here)
    for place, message, hint in _no_text(config, "", set()):
        raise UserError(message, where=f"{path}: {place}", hint=hint)
    return config


def _no_text(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, str, str]]:
    """(place, what is wrong, hint) of each key and value that YAML reads as something else than the
    text that was meant: a key that is a number, a date.

    seen: ids of the collections that were looked at; an alias may name one of them again.
    """
    if isinstance(value, datetime.date):
        yield place, f"{value} is a date to YAML, and no text", f'write it in quotes: "{value}"'
    if not isinstance(value, dict | list) or id(value) in seen:
        return
    seen.add(id(value))
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        inside = f"{place}.{key}" if place else str(key)
        if isinstance(value, dict) and not isinstance(key, str):
            yield inside, f"unknown key: {key!r} is no text", f'write a name in quotes: "{key}"'
        yield from _no_text(each, inside, seen)


def check_config(config: dict[str, Any], directory: Path, file: Path | None = None) -> None:
    """Check `config`, fill in its defaults, and add the declared files under `resources`.

    directory: holds resources.yaml. file: the config's own, which errors name if it is known.
    Raises UserError for the first wrong key, and one that lists all keys that have moved.
    """
    try:
        _check_config(config, directory)
    except UserError as error:
        if file and error.where and error.where.startswith(ANY):
            error.where = f"{file}:{error.where.removeprefix(ANY)}"
        raise


def _check_config(config: dict[str, Any], directory: Path) -> None:
    config.pop("resources", None)
    check_moved(config)
    filled = checked(RunConfig, config).filled()
    filled["resources"] = _resources(directory / "resources.yaml")
    check_run(filled)
    config.clear()
    config.update(filled)


def _resources(path: Path) -> dict[str, Any]:
    """The declarations of external files, each of them checked."""
    resources = read_yaml(path)
    if not isinstance(resources, dict):
        hint = "each entry is NAME: {file, sha256, bytes, licence, mirrors}"
        raise UserError("not a mapping of names to declared files", where=str(path), hint=hint)
    for name, value in resources.items():
        check_declaration(value, f"{path}: {name}")
    return resources


def read_yaml(path: Path) -> Any:
    """The value in a YAML file.

    Raises UserError for one that is no YAML or not UTF-8, or that gives a key twice in a mapping.
    """
    text = read_text(path)
    try:
        _check_keys(yaml.compose(text, yaml.SafeLoader), path, set())
        return yaml.safe_load(text)
    # ValueError: PyYAML reads no number of thousands of digits, and no 30th of February.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"not YAML: {reason}", where=str(path), hint="fix the file") from error


def _check_keys(node: yaml.Node | None, path: Path, seen: set[int]) -> None:
    """Raise UserError for a key that a mapping in `node` gives twice. YAML forbids it; PyYAML
    silently takes the last one.

    seen: ids of the nodes that were checked; an alias may name one of them again.
    """
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _check_keys(each, path, seen)
        return
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        name, line = (key.tag, str(key.value)), key.start_mark.line + 1
        if name in lines:
            raise UserError(
                f"the key {key.value!r} is given twice, first in line {lines[name]}",
                where=f"{path}, line {line}",
                hint="keep one of them",
            )
        lines[name] = line
        _check_keys(value, path, seen)


def _kind(value: Any) -> str:
    return {list: "a list", str: "text"}.get(type(value), f"{value!r}")
