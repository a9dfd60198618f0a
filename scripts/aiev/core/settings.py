"""Sections of the config: pydantic models whose errors name the first wrong key.

A room describes its keys as a `Section` in its `settings.py`, or as the `Config` of a class that a
registry finds; `aiev.config` puts them together. `Chosen` is the type of a section whose keys
depend on a name in it, such as `kind`.
"""

import difflib
import re
from typing import Any, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from aiev.core.errors import UserError

Model = TypeVar("Model", bound="Section")

_EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")
"""A number in YAML 1.2 and for every reader. PyYAML knows YAML 1.1, where it is a string unless it
has both a dot and a sign."""

EXPLAINED = "explained"
_MAX_SHOWN = 60


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, defaults are checked, values are frozen.

    Types are strict: a string is no number and a boolean no integer. A whole number counts as a
    float, and 2.0 or 1e3 as an integer, so that `1` and `1.0` mean the same everywhere.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _read_numbers(cls, value: Any, info: Any) -> Any:
        return _number(value, cls.model_fields[info.field_name].annotation)

    @model_validator(mode="wrap")
    @classmethod
    def _explain_errors(cls, value: Any, handler: Any) -> Any:
        """Add to each error what only this model knows: its keys, and what the wrong one means."""
        try:
            return handler(value)
        except ValidationError as error:
            found = [_explained(cls, each, value) for each in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, found) from None


def invalid(message: str, hint: str | None = None) -> PydanticCustomError:
    """An error for validators to raise: what is wrong with the value, and what to do about it."""
    return PydanticCustomError("invalid", "{message}", {"message": message, "hint": hint})


def checked(model: type[Model], value: Any, where: str = "config") -> Model:
    """`value` as a `model`, with all defaults.

    Raises UserError for the first wrong key by place, with `where` before its name.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=_place)
    context = first.get("ctx", {})
    path = ".".join(str(part) for part in first["loc"])
    message = context.get("message", first["msg"])
    raise UserError(message, where=f"{where}: {path or 'top level'}", hint=context.get("hint"))


def json_schema(model: type[Section]) -> dict[str, Any]:
    """JSON Schema of a section, nested as the section is and without generated titles."""
    schema = model.model_json_schema()
    return _nested(schema, schema.get("$defs", {}))


def did_you_mean(name: str, known: list[str], otherwise: str) -> str:
    """A hint: the known name that is closest to a mistyped one, or `otherwise`."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else otherwise


def _nested(part: Any, shared: dict[str, Any], names: bool = False) -> Any:
    """A part of a schema with each reference replaced by what it refers to.

    names: whether the keys of `part` are the config's own, one of which may be "title".
    """
    if isinstance(part, list):
        return [_nested(each, shared) for each in part]
    if not isinstance(part, dict):
        return part
    if not names:
        name = part.get("$ref", "").rpartition("/")[2]
        part = {**shared[name], **part} if name else part
        part = {key: each for key, each in part.items() if key not in ("title", "$defs", "$ref")}
    return {
        key: each if key == "default" and not names else _nested(each, shared, key == "properties")
        for key, each in part.items()
    }


def _number(value: Any, annotation: Any) -> Any:
    """`value` as the number that the annotation asks for, where it means one."""
    arguments = get_args(annotation)
    if get_origin(annotation) is list and isinstance(value, list):
        return [_number(each, arguments[0]) for each in value]
    kinds = arguments if arguments else (annotation,)
    if not {int, float} & set(kinds):
        return value
    if isinstance(value, str) and str not in kinds and _EXPONENT.fullmatch(value):
        value = float(value)
    if isinstance(value, float) and float not in kinds and value.is_integer():
        return int(value)
    return value


def _explained(model: type[Section], error: dict[str, Any], section: Any) -> InitErrorDetails:
    """The error with its message and hint as context, unless a section inside has put them there.

    One about the section as a whole is left to the section around it, which describes it.
    """
    context = dict(error.get("ctx", {}))
    loc, kind = error["loc"], error["type"]
    loc = loc if kind == "missing" else _in_config(loc, section)
    if kind == EXPLAINED:
        return _details(error, loc, context)
    message = context["message"] if kind == "invalid" else _message(error)
    if not loc:
        return _details(error, loc, {"message": message, "hint": context.get("hint")}, "invalid")
    field = model.model_fields.get(str(loc[0]))
    meaning = f"the key's meaning: {field.description}" if field and field.description else None
    hint = context.get("hint") or meaning
    if kind == "extra_forbidden":
        known = list(model.model_fields)
        message = "unknown key"
        hint = did_you_mean(str(loc[0]), known, f"known keys: {', '.join(known)}")
    elif kind == "missing":
        message, loc = f"required key {loc[-1]!r} is missing", loc[:-1]
    return _details(error, loc, {"message": message, "hint": hint, "kind": kind})


def _in_config(loc: tuple, section: Any) -> tuple:
    """The part of a place that is in the config: pydantic adds the branch of a union."""
    for number, part in enumerate(loc):
        try:
            section = section[part]
        except (KeyError, IndexError, TypeError):
            return loc[:number]
    return loc


def _details(
    error: dict[str, Any], loc: tuple, context: dict[str, Any], kind: str = EXPLAINED
) -> InitErrorDetails:
    about = PydanticCustomError(kind, "{message}", context)
    return InitErrorDetails(type=about, loc=loc, input=error["input"])


def _message(error: dict[str, Any]) -> str:
    """What is wrong with a value. What a validator of ours says stands alone: it knows whether the
    value may be shown."""
    if error["type"] in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"])
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"{shown(error['input'])} should be a mapping of keys"
    if error["type"] == "string_pattern_mismatch":
        return f"{shown(error['input'])} has the wrong format"
    if error["type"] in ("too_short", "string_too_short"):
        return f"{shown(error['input'])} is too short: at least {error['ctx']['min_length']} needed"
    reason = re.sub(r"^\w+ should", "should", error["msg"])
    return f"{shown(error['input'])} {reason}"


def shown(value: Any) -> str:
    """A value as errors show it: cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _place(error: dict[str, Any]) -> tuple[list[tuple[int, str]], int]:
    """Sorts errors by place; a mistyped key before the required one that it should have been."""
    parts = error["loc"]
    path = [(part, "") if isinstance(part, int) else (0, str(part)) for part in parts]
    kind = error.get("ctx", {}).get("kind")
    if kind == "extra_forbidden":
        return path[:-1], 0
    return path, 1 if kind == "missing" else 2
