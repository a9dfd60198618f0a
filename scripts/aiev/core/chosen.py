"""Sections and values of a config that name a choice of a registry."""

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import AfterValidator, BaseModel, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from aiev.core.errors import UserError
from aiev.core.registry import DESCRIBED, Registry
from aiev.core.settings import EXPLAINED, Section, did_you_mean, invalid, json_schema, shown


@dataclass(frozen=True)
class Chosen:
    """Annotation of a section whose keys are those of the class that one of its keys names.

    `Annotated[dict[str, Any], Chosen(KINDS, "kind", "llamacpp", Model)]` is a mapping with the key
    `kind`, the keys of `Model`, and those of the `Config` of the class that the registry KINDS
    finds for the kind. The value is a plain dictionary with all defaults.

    default: the name where the section gives none; "" for a key that is required.
    shared:  keys that all choices have.
    """

    registry: Registry
    key: str = "kind"
    default: str = ""
    shared: type[Section] = Section

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        """One shape for each built-in choice."""
        return {"oneOf": [self._shape(name) for name in self.registry.names()]}

    def _shape(self, name: str) -> dict[str, Any]:
        config = self.config(name)
        shape = json_schema(config)
        what = {"const": name, "description": f"The {self.registry.what}."}
        if name == self.default:
            what["default"] = name
        required = shape.pop("required", []) + ([] if name == self.default else [self.key])
        shape["properties"] = {self.key: what, **shape.get("properties", {})}
        return {**shape, **({"required": sorted(required)} if required else {})}

    def _check(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid(f"{shown(value)} should be a mapping of keys")
        mistyped = difflib.get_close_matches(self.key, map(str, value), 1)
        if self.key not in value and mistyped and mistyped[0] not in self._keys():
            context = {"message": "unknown key", "hint": f"did you mean {self.key!r}?"}
            raise _single(PydanticCustomError(EXPLAINED, "{message}", context), mistyped[0], value)
        if self.key not in value and not self.default:
            known = ", ".join(self.registry.names())
            raise invalid(f"required key {self.key!r} is missing", f"use one of {known}")
        name = value.get(self.key, self.default)
        config = self.config(name)
        rest = {key: each for key, each in value.items() if key != self.key}
        return {self.key: name, **config.model_validate(rest).model_dump()}

    def config(self, name: Any) -> type[Section]:
        """The model of a section that names this choice. Raises ValidationError for an unknown
        name."""
        try:
            if not isinstance(name, str):
                raise UserError(f"{shown(name)} should be a string")
            chosen = self.registry.get(name)
            if not isinstance(getattr(chosen, "Config", None), type):
                source = self.registry.source(name)
                message = f"{source}: the class {self.registry.attribute} has no class Config"
                raise UserError(message, where=source, hint=DESCRIBED)
            return _with_shared(self.shared, chosen.Config)
        except UserError as error:
            hint = error.hint
            if isinstance(name, str) and not name.endswith(".py"):
                hint = did_you_mean(name, self.registry.names(), error.hint)
            raise _single(invalid(error.message, hint), self.key, name) from None

    def _keys(self) -> set[str]:
        """Keys that are known whatever is chosen."""
        config = self.config(self.default) if self.default else self.shared
        return set(config.model_fields)


def known_in(registry: Registry) -> AfterValidator:
    """Annotation of a string that names a choice of the registry, or a file outside of it."""

    def check(name: str) -> str:
        try:
            registry.source(name)
        except UserError as error:
            hint = error.hint if name.endswith(".py") else None
            hint = hint or did_you_mean(name, registry.names(), error.hint)
            raise invalid(error.message, hint) from None
        return name

    return AfterValidator(check)


def _single(error: PydanticCustomError, key: str, value: Any) -> ValidationError:
    """A validation error about one key."""
    wrong = InitErrorDetails(type=error, loc=(key,), input=value)
    return ValidationError.from_exception_data("config", [wrong])


@cache
def _with_shared(shared: type[Section], own: type[BaseModel]) -> type[Section]:
    if issubclass(own, shared):
        return own
    return create_model(own.__name__, __base__=(own, shared), __doc__=own.__doc__ or shared.__doc__)
