"""Reads a config, checks it, and fills in its defaults."""

from pathlib import Path
from typing import Any

import yaml

from aiev.config.checks import check_run
from aiev.config.moved import check_moved
from aiev.config.run import RunConfig
from aiev.core.errors import UserError
from aiev.core.files import read_text
from aiev.core.settings import checked
from aiev.resources.declare import declared


def read_config(path: Path) -> dict[str, Any]:
    """The config in a file, checked and with all defaults, and the declarations in config/.

    Raises UserError for a file that is missing or not YAML, and as `check_config` does.
    """
    hint = "name the config of a run, such as config/config.yaml"
    if not path.is_file():
        raise UserError("no such config", where=str(path), hint=hint)
    config = read_yaml(path)
    config = {} if config is None else config
    if not isinstance(config, dict):
        message = f"not a config: a mapping of keys is needed, not {_kind(config)}"
        raise UserError(message, where=str(path), hint=hint)
    check_config(config, Path("config"))
    return config


def check_config(config: dict[str, Any], directory: Path) -> None:
    """Check `config`, fill in its defaults, and add the declared files under `resources`.

    directory: holds resources.yaml.
    Raises UserError for the first wrong key, and one that lists all keys that have moved.
    """
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
        raise UserError("not a mapping of names to declared files", where=str(path))
    for name, value in resources.items():
        declared(value, f"{path}: {name}")
    return resources


def read_yaml(path: Path) -> Any:
    """The value in a YAML file. Raises UserError for one that is no YAML or not UTF-8."""
    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"not YAML: {reason}", where=str(path), hint="fix the file") from error


def _kind(value: Any) -> str:
    return {list: "a list", str: "text"}.get(type(value), f"{value!r}")
