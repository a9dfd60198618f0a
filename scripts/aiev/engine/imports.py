"""The modules that a module names: by import statements, by calls that load, and in strings.

What is loaded by a name or a path that only a run would show cannot be followed: a change in it
would make nothing stale. So that is refused. Not seen: text that some variable holds and `exec`
runs, which here are programs that models wrote.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from aiev.core.errors import UserError

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
BY_NAME = {"import_module", "__import__", "run_module"}
"""Load a module by its name, their first argument: followed where that is written out."""

BY_PATH = {"run_path", "spec_from_file_location", "spec_from_loader", "SourceFileLoader"}
BY_PATH |= {"SourcelessFileLoader", "load_module", "load_source", "resolve_name"}
LOADERS = BY_NAME | BY_PATH
HOMES = {
    "importlib",
    "importlib.machinery",
    "importlib.util",
    "builtins",
    "imp",
    "pkgutil",
    "runpy",
}
"""Where they are imported from; a function of that name from elsewhere is another."""

READERS = {"open", "read", "read_text", "read_bytes", "get_data", "getsource"}


def imports_of(tree: ast.AST, path: Path) -> Iterator[str]:
    """Names of modules, relative ones with their dots; some are of no module, as `a` in `x.a`.

    Raises UserError with the line of `path` that loads what cannot be followed.
    """
    aliases = _aliases(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            glue = "" if base.endswith(".") else "."
            yield from (f"{base}{glue}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A module that another process runs: by its name, or a neighbour by its file's name.
            if _DOTTED.fullmatch(node.value):
                yield node.value
                yield f".{node.value.removesuffix('.py')}"
        elif isinstance(node, ast.Call):
            yield from _loaded(node, aliases, path)
        elif _name(node, aliases) in LOADERS and id(node) not in called:
            raise _refusal(node, path, f"{ast.unparse(node)} under another name")


def _aliases(tree: ast.AST) -> dict[str, str]:
    """What names mean that were imported: loaders under other names, and a loader's name that is
    no loader, because it comes from elsewhere or is a function here ("")."""
    found = {n.name: "" for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            own = node.level or node.module not in HOMES
            found |= {a.asname or a.name: "" if own else a.name for a in node.names}
    return found


def _name(node: ast.AST, aliases: dict[str, str]) -> str:
    """Last part of a name that is used, under which it is known elsewhere."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return aliases.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _loaded(call: ast.Call, aliases: dict[str, str], path: Path) -> Iterator[str]:
    """The module that a call loads by its name. Raises UserError for one that is not written out,
    and for what is loaded from a path or from a file's text."""
    name = _name(call.func, aliases)
    if name in BY_NAME:
        # More arguments say from where a relative name counts, or name modules in the package.
        first = call.args[0] if call.args else None
        text = first.value if isinstance(first, ast.Constant) else None
        more = len(call.args) > 1 or (call.keywords and name != "run_module")
        if not isinstance(text, str) or more:
            raise _refusal(call, path, "an import with a computed name")
        yield text
        yield f"{text}.__main__"
    elif name in BY_PATH:
        raise _refusal(call, path, f"code that {name} loads")
    elif name in ("exec", "eval", "compile"):
        inner = [node.func for arg in call.args for node in ast.walk(arg) if _is_call(node)]
        if any(_name(func, aliases) in READERS for func in inner):
            raise _refusal(call, path, f"code that {name} takes from a file")
    elif name == "getattr":
        loaders = {arg.value for arg in call.args if isinstance(arg, ast.Constant)} & LOADERS
        if loaders:
            raise _refusal(call, path, f"{loaders.pop()} under another name")


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def _refusal(node: ast.AST, path: Path, what: str) -> UserError:
    return UserError(
        f"{what} cannot be followed",
        where=f"{path}, line {node.lineno}",
        hint="import the module by name, so that a change in it is seen",
    )
