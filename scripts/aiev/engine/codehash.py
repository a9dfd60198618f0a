"""The meaning of code, as a digest: what must change for a job to be stale.

The digest of a script covers its normalised syntax tree and that of every project module that it
reaches: through absolute, relative and lazy imports, and where a string names a module or a
neighbouring file, which is how a server or a program for the sandbox is started. Comments,
docstrings, layout and the order of neighbouring imports do not count. Data files in a reached
package (prompt templates) count by their bytes.

It is a digest of parts: every function at the top of a module, every method, what is left of each
class and of the module, and every data file. So it can be said which of them changed.
"""

import ast
import os
from functools import cache
from pathlib import Path

from aiev.core.files import write_json
from aiev.core.hashing import of_bytes, of_json
from aiev.engine.imports import imports_of

_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def code_digest(script: Path) -> str:
    """Digest of all project code that `script` can run; its directory is the import root.

    Raises UserError for an import that cannot be followed (a computed module name, a path).
    """
    return digest_of_parts(code_parts(script), Path(script).name)


def digest_of_parts(parts: dict[str, str], script: str) -> str:
    """Digest of the code whose parts these are. The name of the script itself is left out, so that
    renaming a rule's main alone reruns nothing."""
    own = f"{script}: "
    return of_json(sorted((name.removeprefix(own), digest) for name, digest in parts.items()))


PINNED = "pinned"
"""Stands for the code where a declared digest fixes the outputs, whatever makes them."""


def known_code(script: Path, directory: Path, claimed: str = "") -> str:
    """Digest of the script's code, with its parts on record in `directory` as <digest>.json.

    claimed: the digest when the run began. Believed if that record is younger than every file of
    the code: somebody may work on it while a run goes on.
    """
    record = directory / f"{claimed}.json"
    if claimed and record.is_file():
        files = (p for p in Path(script).resolve().parent.rglob("*") if p.suffix != ".pyc")
        newest = max(p.stat().st_mtime_ns for p in files if p.is_file())
        if newest < record.stat().st_mtime_ns:
            return claimed
    parts = code_parts(script)
    digest = digest_of_parts(parts, Path(script).name)
    record = directory / f"{digest}.json"
    if record.is_file():
        os.utime(record)
    else:
        write_json(record, parts)
    return digest


def code_parts(script: Path) -> dict[str, str]:
    """The parts of the code that `script` can run, by name, and their digests, for example
    "aiev/recipes/aiev_instruct/roles.py: Programmer.revise" or "aiev/rounds/prompts/duel.md".

    Raises UserError for an import that cannot be followed (a computed module name, a path).
    """
    script = Path(script).resolve()
    root = script.parent
    seen: set[Path] = set()
    parts: dict[str, str] = {}
    todo = [script]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        name = path.relative_to(root).as_posix()
        if path.suffix != ".py":
            parts[name] = of_bytes(path.read_bytes())
            continue
        found, imports = _module(path)
        parts.update((f"{name}: {part}", digest) for part, digest in found)
        for module in imports:
            todo.extend(_files_of(root, path, module))
    return parts


@cache
def _module(path: Path) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Parts of one module with their digests, and the names that it imports (relative ones with
    their dots)."""
    tree = ast.parse(path.read_text("utf-8"), filename=str(path))
    imports = tuple(dict.fromkeys(imports_of(tree, path)))
    parts: dict[str, list] = {"(module)": []}
    parts["(module)"] = [_normal(_take_apart(_without_docstrings(tree), "", parts))]
    return tuple((name, of_json(found)) for name, found in parts.items()), imports


def _take_apart(block: ast.Module | ast.ClassDef, prefix: str, parts: dict[str, list]):
    """Put the functions of a module or class into `parts`, and leave their names in their place:
    the order of definitions can matter, as in a class's fields or a decorator's register."""
    for number, node in enumerate(block.body):
        if isinstance(node, ast.ClassDef) and not prefix:
            name = node.name
            found = _normal(_take_apart(node, f"{name}.", parts))
        elif isinstance(node, _FUNCTION):
            name = f"{prefix}{node.name}"
            found = _normal(node)
        else:
            continue
        # The same name again: both count, under it.
        parts.setdefault(name, []).append(found)
        block.body[number] = ast.Expr(ast.Constant(f"defined here: {name}"))
    return block


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
                for folder in (base, base / "prompts")
                if folder.is_dir()
                for p in sorted(folder.iterdir())
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
