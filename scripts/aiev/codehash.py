"""The meaning of code, as a digest: what must change for a job to be stale.

The digest of a script covers its normalised syntax tree and that of every project module that it
reaches: through absolute, relative and lazy imports, and where a string names a module or a
neighbouring file, which is how a server or a program for the sandbox is started. Comments,
docstrings, layout and the order of neighbouring imports do not count. Data files in a reached
package (prompt templates) count by their bytes.
"""

import ast
import re
from functools import cache
from pathlib import Path

from aiev.digests import of_bytes, of_json
from aiev.errors import UserError

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


def code_digest(script: Path) -> str:
    """Digest of all project code that `script` can run; its directory is the import root.

    Raises UserError for an import that cannot be followed (a computed module name).
    """
    script = Path(script).resolve()
    root = script.parent
    seen: dict[str, str] = {}
    todo = [script]
    while todo:
        path = todo.pop()
        name = path.relative_to(root).as_posix()
        if name in seen:
            continue
        if path.suffix != ".py":
            seen[name] = of_bytes(path.read_bytes())
            continue
        seen[name], imports = _module(path)
        for module in imports:
            todo.extend(_files_of(root, path, module))
    # The script's own name is left out, so that renaming a rule's main alone reruns nothing.
    return of_json([seen.pop(script.name), sorted(seen.items())])


@cache
def _module(path: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of one module and the names that it imports (relative ones with their dots)."""
    tree = ast.parse(path.read_text("utf-8"), filename=str(path))
    imports = tuple(dict.fromkeys(_imports(tree, path)))
    return of_json(_normal(_without_docstrings(tree))), imports


def _imports(tree: ast.AST, path: Path):
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
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                raise UserError(
                    "an import with a computed name cannot be followed",
                    where=f"{path}, line {node.lineno}",
                    todo="import the module by name, so that a change in it is seen",
                )
            yield first.value


def _called(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _files_of(root: Path, importer: Path, module: str) -> list[Path]:
    """Project files behind an imported name; [] when it is not the project's."""
    dots = len(module) - len(module.lstrip("."))
    base = root
    if dots:
        base = importer.parent
        for _ in range(dots - 1):
            base = base.parent
    files: list[Path] = []
    for part in module.strip(".").split(".") if module.strip(".") else []:
        base = base / part
        if base.with_suffix(".py").is_file():
            files.append(base.with_suffix(".py"))
        elif (base / "__init__.py").is_file():
            files.append(base / "__init__.py")
            files += [
                p
                for p in sorted(base.iterdir())
                if p.is_file() and p.suffix not in (".py", ".pyc") and p.name[0] != "."
            ]
        else:
            break
    return files


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree


def _normal(node):
    """Syntax tree as JSON: types and fields, no positions; empty fields left out, so that the
    digest does not move when a Python version adds an optional field."""
    if isinstance(node, ast.AST):
        fields = ((name, _normal(value)) for name, value in ast.iter_fields(node))
        return [type(node).__name__, {n: v for n, v in fields if v not in (None, [])}]
    if isinstance(node, list):
        return _sort_imports([_normal(item) for item in node])
    if isinstance(node, str | int | bool) or node is None:
        return node
    return repr(node)


def _sort_imports(items: list) -> list:
    """Sort each run of neighbouring import statements."""

    def is_import(item) -> bool:
        return isinstance(item, list) and bool(item) and item[0] in ("Import", "ImportFrom")

    done: list = []
    run: list = []
    for item in [*items, None]:
        if is_import(item):
            run.append(item)
            continue
        done += sorted(run, key=of_json)
        run = []
        done.append(item)
    return done[:-1]
