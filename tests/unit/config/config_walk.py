"""The config's sections, found from its models: each with its place and its keys."""

from collections.abc import Iterator
from typing import Any, get_args

from aiev.config.run import RunConfig
from aiev.core.chosen import Chosen
from aiev.core.settings import Section

FREE = "humaneval"
"""Stands for a name that the config may choose freely."""

Path = tuple[str, ...]


def sections(model: type[Section] = RunConfig, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(place in a config, model) of every section; the default of one that is chosen by name."""
    yield path, model
    for name, field in model.model_fields.items():
        yield from _inside(field.annotation, [*field.metadata], (*path, name))


def _inside(annotation: Any, metadata: list[Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for each in metadata:
        if isinstance(each, Chosen) and each.default:
            yield from sections(each.config(each.default), path)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield from sections(annotation, path)
    arguments = get_args(annotation)
    if type(None) in arguments:  # a section that may be left out
        for each in arguments:
            yield from _inside(each, [], path)
    if getattr(annotation, "__origin__", None) is dict and not any(
        isinstance(each, Chosen) for each in metadata
    ):
        value = arguments[1]
        yield from _inside(*_unwrapped(value), (*path, FREE))


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    metadata = list(getattr(annotation, "__metadata__", ()))
    return getattr(annotation, "__origin__", annotation) if metadata else annotation, metadata


SECTIONS = dict(sections())
KEYS = {
    (*path, name): field
    for path, model in SECTIONS.items()
    for name, field in model.model_fields.items()
}
