"""Prints the Debian packages of all toolchains, for `make toolchains`."""

from aiev.languages.toolchains import TOOLCHAINS

print(*sorted({p for name in TOOLCHAINS.names() for p in TOOLCHAINS.get(name).packages}))
