"""The config, checked against its schema: every key known, every default filled in."""

import copy
import difflib
import math
import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from aiev.core.errors import UserError
from aiev.core.files import read_text
from aiev.llm.endpoints.base import check_address
from aiev.resources.declare import declared
from aiev.training.batch import accumulation


def read_config(path: Path) -> dict[str, Any]:
    """The config in a file, checked and filled by the schema in config/.

    Raises UserError for a file that is missing or no YAML, and as `check_config` does.
    """
    hint = "name a run's config, such as CONFIG=config/config.yaml"
    if not path.is_file():
        raise UserError("no such config", where=str(path), hint=hint)
    config = read_yaml(path)
    config = {} if config is None else config
    if not isinstance(config, dict):
        raise UserError("no config: a mapping of keys is needed", where=str(path), hint=hint)
    check_config(config, Path("config"))
    return config


def check_config(config: dict[str, Any], directory: Path) -> None:
    """Fill `config` with the schema's defaults, check it, and add the pinned resources to it.

    directory: holds schema.yaml and resources.yaml. Raises UserError that names the first bad key.
    """
    schema = yaml.safe_load((directory / "schema.yaml").read_text("utf-8"))
    errors = sorted(_Filling(schema).iter_errors(config), key=_order)
    if errors:
        raise _mistake(errors[0], schema)
    resources = config["resources"] = _resources(directory / "resources.yaml")
    _check_names(config, resources)
    _check_models(config["models"])
    _check_sizes(config)
    accumulation(config["training"])
    _check_recorded(config["rounds"]["recorded"])
    _check_prices(config)


def _resources(path: Path) -> dict[str, Any]:
    """The declarations of external files, each of them checked."""
    resources = read_yaml(path)
    if not isinstance(resources, dict):
        raise UserError("no declarations: a mapping of names is needed", where=str(path))
    for name, value in resources.items():
        declared(value, f"{path}: {name}")
    return resources


def read_yaml(path: Path) -> Any:
    """Raises UserError where that cannot be."""
    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"not YAML: {said}", where=str(path), hint="mend the file") from error


def _filling(validator, properties, instance, schema):
    """The `properties` keyword, putting defaults in first, so that they are checked as well.

    Of a choice between shapes, only the one that the instance names is filled in.
    """
    constants = {name: part["const"] for name, part in properties.items() if "const" in part}
    if isinstance(instance, dict) and constants.items() <= instance.items():
        for name, part in properties.items():
            if "default" in part:
                instance.setdefault(name, copy.deepcopy(part["default"]))
    yield from Draft202012Validator.VALIDATORS["properties"](
        validator, properties, instance, schema
    )


def _is_integer(_, value: Any) -> bool:
    """JSON Schema's integers include 2.0, which counts nothing in Python."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker, value: Any) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_Filling = extend(
    Draft202012Validator,
    {"properties": _filling},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def _order(error: ValidationError) -> tuple[list[str], bool]:
    """By place; a mistyped key before the required one that it should have been."""
    return list(map(str, error.path)), error.validator == "required"


def _meant(error: ValidationError) -> ValidationError:
    """Of a choice between shapes that `kind` tells apart, the error about the one it names."""
    others = [e for e in error.context if e.validator == "const"]
    numbers = {e.relative_schema_path[0] for e in others}
    rest = [e for e in error.context if e.relative_schema_path[0] not in numbers]
    if rest:
        return min(rest, key=_order)
    known = ", ".join(repr(e.validator_value) for e in others)
    others[0].message = f"{others[0].instance!r} is not one of {known}"
    return others[0]


def _mistake(error: ValidationError, schema: dict[str, Any]) -> UserError:
    while error.context:
        error = _meant(error)
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = sorted(str(name) for name in set(error.instance) - set(known))
        close = difflib.get_close_matches(unknown[0], known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        path = f"{key}.{unknown[0]}" if key else unknown[0]
        return UserError("unknown key", where=f"config: {path}", hint=hint)
    meaning = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return UserError(error.message, where=f"config: {key or 'top level'}", hint=meaning or None)


def _check_names(config: dict[str, Any], resources: dict[str, Any]) -> None:
    """Every resource that the config names is declared."""
    named = {
        f"models.{role}.resource": model["resource"]
        for role, model in config["models"].items()
        if model["resource"]
    }
    for number, source in enumerate(config["seeds"]["sources"]):
        if source["kind"] == "wheel":
            named[f"seeds.sources.{number}.resource"] = source["resource"]
    for name, benchmark in config["evaluation"]["benchmarks"].items():
        named[f"evaluation.benchmarks.{name}.resource"] = benchmark["resource"]
    for key, name in named.items():
        if name not in resources:
            close = difflib.get_close_matches(name, resources, 1)
            raise UserError(
                f"no resource is called {name!r}",
                where=f"config: {key}",
                hint=f"did you mean {close[0]!r}?" if close else "declare it in resources.yaml",
            )


def _check_models(models: dict[str, Any]) -> None:
    for role, model in models.items():
        key = f"config: models.{role}"
        check_address(model["base_url"], f"{key}.base_url")
        if role == "student" and not re.fullmatch(r"\w[\w.-]*", model["name"], re.ASCII):
            raise UserError(
                f"{model['name']!r} cannot be part of a file's name",
                where=f"{key}.name",
                hint="use letters, digits, dots, dashes and underscores",
            )
        if role == "student" and not model["resource"]:
            raise UserError("a student is trained from weights", where=f"{key}.resource")
        if model["kind"] != "openai" and not model["resource"]:
            raise UserError("a local model needs weights", where=f"{key}.resource")
        if role == "teacher" and model["resource"] and model["version"]:
            raise UserError(
                "both a version and a resource, and dialogues could name only one of them",
                where=f"{key}.version",
                hint="a model that is served elsewhere has a version; take its resource out",
            )


def _check_sizes(config: dict[str, Any]) -> None:
    rounds, seeds = config["rounds"], config["seeds"]
    each, rest = divmod(rounds["dialogues"], seeds["per_shard"])
    if rest:
        raise UserError(
            f"a round of {rounds['dialogues']} dialogues is no whole number of shards of "
            f"{seeds['per_shard']} seeds",
            where="config: rounds.dialogues",
            hint=f"set rounds.dialogues to a multiple of {seeds['per_shard']} (seeds.per_shard)",
        )
    needed = rounds["count"] * each
    if needed > seeds["shards"]:
        raise UserError(
            f"{rounds['count']} rounds of {each} shards need {needed} shards, and there are "
            f"{seeds['shards']}",
            where="config: seeds.shards",
            hint="lower rounds.count or rounds.dialogues, or raise seeds.shards, which deals the "
            "seeds anew: in a run that has begun, earlier rounds get others",
        )


def _check_recorded(path: str | None) -> None:
    """Without the file, Snakemake would take the other rule that makes dialogues, and ask."""
    if path is not None and not Path(path).is_file():
        raise UserError("no such file", where=f"config: rounds.recorded: {path}")


def _check_prices(config: dict[str, Any]) -> None:
    """A budget in dollars holds nothing back from a model whose price is not known."""
    if config["budget"]["usd"] is None:
        return
    student = config["models"]["student"]["name"]
    asked = {"teacher": [config["models"]["teacher"]["name"]]}
    asked["student"] = [f"base-{student}", f"student-{student}"]
    for role, names in asked.items():
        missing = [name for name in names if name not in config["prices"]]
        if config["models"][role]["kind"] == "openai" and missing:
            raise UserError(
                f"a budget in dollars, and no price of {missing[0]!r}",
                where="config: prices",
                hint="add it, in dollars per million tokens; 0 for a model that costs nothing",
            )
