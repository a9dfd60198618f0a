"""Compilers and interpreters of other languages, a file each: a module with a class `Toolchain`."""

from aiev.core.registry import Registry

TOOLCHAINS = Registry("toolchain", "aiev.languages.toolchains", "Toolchain")
