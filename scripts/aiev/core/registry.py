"""Registries: what the config chooses by name, each in a file of its own.

A registry is a package whose modules are the choices: the name is the module's, with `-` for `_`.
A choice is a module that defines the registry's class; others are helpers. Adding a choice is
adding a file; nothing lists them. A name that ends in `.py` is the path of a file outside the
package, so that a project may bring its own benchmark or recipe. docs/extending.md lists what each
class has.

A module is imported only once it is chosen, and does its heavy imports inside its functions:
Snakemake reads the registries on every dry run.
"""

import importlib
import importlib.util
import pkgutil
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from aiev.core.errors import UserError

DESCRIBED = "docs/extending.md describes what such a file defines"


@dataclass(frozen=True)
class Registry:
    """The choices of one kind.

    what:      in messages: "benchmark kind".
    package:   dotted name of the package that holds them.
    attribute: the class that each module defines for it.
    module:    where each choice is a package, the module of it that defines the class; other
               modules of the registry's package are then no choices.
    """

    what: str
    package: str
    attribute: str
    module: str = ""

    def names(self) -> list[str]:
        """Names of the built-in choices, sorted."""
        folder = Path(importlib.import_module(self.package).__path__[0])
        # `base` and modules that start with an underscore are shared by the others.
        found = [m for m in pkgutil.iter_modules([str(folder)]) if m.ispkg or not self.module]
        names = [m.name for m in found if m.name[0] != "_" and m.name != "base"]
        return sorted(name.replace("_", "-") for name in names if self._defines(folder / name))

    def _defines(self, place: Path) -> bool:
        """Whether the module at `place` defines the class, seen without importing it."""
        inside = place / f"{self.module or '__init__'}.py"
        path = inside if place.is_dir() else place.with_suffix(".py")
        if not path.is_file():
            return False
        return bool(
            re.search(rf"^(class )?{self.attribute}\b", path.read_text("utf-8"), re.MULTILINE)
        )

    def source(self, name: str) -> str:
        """What the code digest of a job that uses the choice must follow: the dotted name of its
        module, or the path of its file. Raises UserError for a name that is unknown."""
        if name.endswith(".py"):
            if not Path(name).is_file():
                known = ", ".join(self.names())
                hint = f"correct the path, or use one of {known}"
                raise UserError(f"no file {name} for the {self.what}", where=name, hint=hint)
            return name
        if name not in self.names():
            known = ", ".join(self.names())
            hint = f"use one of {known}, or the path of a Python file"
            raise UserError(f"no {self.what} is called {name!r}", hint=hint)
        chosen = f"{self.package}.{name.replace('-', '_')}"
        return f"{chosen}.{self.module}" if self.module else chosen

    def get(self, name: str) -> Any:
        """The class of that name. Raises UserError for an unknown name or a file that cannot be
        used."""
        source = self.source(name)
        if not name.endswith(".py"):
            return getattr(importlib.import_module(source), self.attribute)
        module = _from_file(Path(source), self.what)
        if not hasattr(module, self.attribute):
            message = f"{source} defines no class {self.attribute}"
            raise UserError(message, where=source, hint=DESCRIBED)
        return getattr(module, self.attribute)


def _from_file(path: Path, what: str) -> ModuleType:
    name = "aiev_extension_" + re.sub(r"\W", "_", str(path.resolve()))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        message = f"the {what} {path} cannot be imported: {type(error).__name__}: {error}"
        raise UserError(message, where=str(path), hint=f"fix the file; {DESCRIBED}") from error
    return module
