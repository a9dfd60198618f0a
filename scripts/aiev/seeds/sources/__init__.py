"""Kinds of seed source, a file each: a module with a class `Source` (see `base`)."""

from aiev.core.registry import Registry

SOURCES = Registry("kind of seed source", "aiev.seeds.sources", "Source")
