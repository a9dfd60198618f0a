"""Digest the meaning of code: a job is stale when the digest of what it can run has changed.

The digest of a script covers its syntax tree and that of every project module that it reaches:
through absolute, relative and lazy imports, and through strings that hold a dotted module name or
the path of a neighbouring .py file, which is how servers and programs for the sandbox are started.
Comments, docstrings (also those under constants), layout and the order of neighbouring imports do
not count. Data files of a reached package (prompt templates) count by their bytes; of a file
outside the project, those in the folder prompts/ beside it. A prompt set counts only where a rule
names it.

What nothing here can see are modules that are loaded by a computed name. Ruff refuses such calls
(pyproject.toml, banned-api) but for the registry's, whose choices the rules name: see `modules`.

The build layer itself does not count: see PLUMBING.

A digest is made of parts: every top-level function, every method, what is left of each class and
of the module, and every data file. `aiev why` names the parts that changed.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.hashing import of_bytes, of_json, of_text
from aiev.core.templates import MANIFEST

ENGINE = 1
"""Stands for all of PLUMBING in every action's key. Raise it by hand when the meaning of a key or
of a stored entry changes; everything is then made again."""

PLUMBING = (
    "aiev/engine/",
    *(
        f"aiev/core/{name}.py"
        for name in ("errors", "locks", "log", "process", "registry", "settings", "chosen")
    ),
)
"""Modules that are part of no digest. They run jobs and report on them, and decide no output: what
makes data cannot import the engine (import-linter checks it), and the others only tell users, or
check a config, whose values are parameters of the jobs."""

PINNED = "pinned"
"""Stands for the code where a declared digest fixes the outputs, whatever code makes them."""

_MODULE = re.compile(r"\.*[A-Za-z_]\w*(\.\w+)+")
_FILE = re.compile(r"[\w.-]+(/[\w.-]+)*\.py")
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_IMPORT = ast.Import | ast.ImportFrom


def code_digest(script: Path, modules: Iterable[str] = ()) -> str:
    """Digest of all project code that `script` can run; see `code_parts`."""
    return Sources(Path(script).parent).digest(script, modules)


def code_parts(script: Path, modules: Iterable[str] = ()) -> dict[str, str]:
    """Digests of the parts of the code that `script` can run, by name, for example
    "aiev/recipes/aiev_instruct/roles.py: Programmer.revise" or "aiev/rounds/duel/prompts/duel.md".

    script: its directory is the import root.
    modules: what the config chooses for this job: dotted names, paths of files outside, or paths of
    directories outside with data files, which end in a slash.
    Raises UserError for a module that does not exist or cannot be parsed.
    """
    return Sources(Path(script).parent).parts(script, modules)


def digest_of_parts(parts: dict[str, str], script: str) -> str:
    """Digest of the code that has these parts. The name of the script itself is left out, so that
    renaming a rule's main alone reruns nothing."""
    own = f"{script}: "
    return of_json(sorted((name.removeprefix(own), digest) for name, digest in parts.items()))


class Sources:
    """The code below an import root as it is at one moment: each file is read once, for however
    many scripts."""

    def __init__(self, root: Path):
        self.root = Path(root).resolve()
        self._files_of = cache(partial(_files_of, self.root, cache(_data_of)))
        self._read = cache(self._read)

    def digest(self, script: Path, modules: Iterable[str] = ()) -> str:
        """See `code_digest`."""
        return digest_of_parts(self.parts(script, modules), Path(script).name)

    def parts(self, script: Path, modules: Iterable[str] = ()) -> dict[str, str]:
        """See `code_parts`."""
        todo = [Path(script).resolve()]
        parts: dict[str, str] = {}
        outsiders: dict[Path, str] = {}
        for module in modules:
            outside = module.endswith((".py", "/"))
            place = Path(module) if outside else self.root / module.replace(".", "/")
            there = (place if outside else place.with_suffix(".py")).is_file() or place.is_dir()
            if not there:
                raise UserError("no such module, though a rule's code depends on it", where=module)
            if not outside:
                todo += self._files_of(module)
                continue
            name = outsiders.setdefault(place.resolve(), _new_name(place.resolve(), outsiders))
            if place.is_dir():
                parts.update(_data_parts(place, f"{name}/"))
            else:
                todo.append(place.resolve())
                parts.update(_prompts_of(place, name))
        seen: set[Path] = set()
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            name = outsiders.get(path) or path.relative_to(self.root).as_posix()
            if not name.startswith(PLUMBING):
                found, reached = self._read(path, path in outsiders)
                parts.update((f"{name}{part}", digest) for part, digest in found)
                todo += reached
        return parts

    def _read(self, path: Path, outside: bool) -> tuple[tuple[tuple[str, str], ...], list[Path]]:
        """Parts of a file, each with what stands behind the file's name, and the project's files
        that it may load."""
        data = path.read_bytes()
        if path.suffix != ".py":
            return (("", of_bytes(data)),), []
        try:
            parts, names = _module(data)
        except (SyntaxError, ValueError) as error:
            raise UserError(f"not Python: {error}", where=str(path)) from error
        # A file outside is of no package: nothing beside it can be imported.
        folder = None if outside else path.parent
        reached = chain.from_iterable(self._files_of(name, folder) for name in names)
        return tuple((f": {part}", digest) for part, digest in parts), list(dict.fromkeys(reached))


@cache
def _module(source: bytes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Parts of one module with their digests, and the names of what it may load."""
    tree = ast.parse(source)
    names = tuple(dict.fromkeys(names_in(_keep_meaning(tree))))
    parts: dict[str, list[str]] = {}
    rest = ast.dump(_split_off_functions(tree, "", parts))
    found = [("(module)", of_text(rest))]
    return tuple(found + [(name, of_json(dumps)) for name, dumps in parts.items()]), names


def names_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the modules that a module imports or mentions in strings, relative ones with their
    dots, and paths of .py files. Some are of no module, as `a` in `from x import a`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            glue = "" if base.endswith(".") else "."
            yield from (f"{base}{glue}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _FILE.fullmatch(node.value):
                yield node.value
            if _MODULE.fullmatch(node.value):
                yield node.value
                yield f".{node.value}"
                yield f"{node.value}.__main__"


def _files_of(
    root: Path,
    data_of: Callable[[Path], Iterable[Path]],
    name: str,
    folder: Path | None = None,
) -> list[Path]:
    """Project files behind a name in a module of `folder`; [] where it is not the project's.

    A package counts with its __init__.py and its data files; a folder without __init__.py can be
    imported too.
    """
    if name.endswith(".py"):
        places = [(base / name).resolve() for base in (root, folder or root)]
        return [p for p in dict.fromkeys(places) if p.is_file() and p.is_relative_to(root)]
    dots = len(name) - len(name.lstrip("."))
    base = (folder or root) if dots else root
    for _ in range(dots - 1):
        base = base.parent
    files: list[Path] = []
    for part in filter(None, name.strip(".").split(".")):
        base = base / part
        if base.with_suffix(".py").is_file():
            files.append(base.with_suffix(".py"))
        elif base.is_dir():
            files += [base / "__init__.py"] if (base / "__init__.py").is_file() else []
            files += data_of(base)
        else:
            break
    return files


def _new_name(path: Path, known: dict[Path, str]) -> str:
    """A name for a file outside, which shares no directory with all machines; another for each of
    several files that are called the same."""
    same = sum(other.name == path.name for other in known)
    return f"{path.name} ({same + 1})" if same else path.name


def _prompts_of(path: Path, named: str) -> dict[str, str]:
    """Parts for the prompt templates (aiev.core.templates) of a file outside the project. What else
    lies beside it does not count: that may be a whole home directory."""
    folder = path.parent / "prompts"
    return _data_parts(folder, f"{named}: prompts/") if folder.is_dir() else {}


def _data_parts(folder: Path, named: str) -> dict[str, str]:
    """Parts for the data files of a folder. named: stands before their names."""
    texts = {text.relative_to(folder).as_posix(): text for text in _data_of(folder)}
    return {f"{named}{name}": of_bytes(text.read_bytes()) for name, text in texts.items()}


def _data_of(package: Path) -> list[Path]:
    """The data files of a package, also those in its folders that hold no code and are no prompt
    set."""
    files: list[Path] = []
    for path in sorted(package.iterdir()):
        if path.name[0] == "." or path.name == "__pycache__" or path.suffix in (".py", ".pyc"):
            continue
        if path.is_file():
            files.append(path)
        elif not any(path.glob("*.py")) and not (path / MANIFEST).exists():
            files += _data_of(path)
    return files


def _keep_meaning(tree: ast.Module) -> Iterator[ast.AST]:
    """Remove texts that nothing uses (docstrings, and those under constants), `pass`, the
    descriptions of config keys and what only type checkers run; sort each run of neighbouring
    imports; yield the nodes that are left. A block that held nothing else is left empty: it does
    what `pass` does."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, _sort_imports([n for n in block if not _does_nothing(n)]))
        yield node
        todo += ast.iter_child_nodes(node)


def _does_nothing(node: ast.AST) -> bool:
    """Whether a statement is only a text, `pass`, or `if TYPE_CHECKING:` without an else."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name | ast.Attribute)
        and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        and not node.orelse
    )


def _sort_imports(block: list[ast.AST]) -> list[ast.AST]:
    done: list[ast.AST] = []
    run: list[ast.AST] = []
    for node in block:
        if isinstance(node, _IMPORT):
            run.append(node)
        else:
            done += [*sorted(run, key=ast.dump), node]
            run = []
    return done + sorted(run, key=ast.dump)


def _split_off_functions(
    block: ast.Module | ast.ClassDef, prefix: str, parts: dict[str, list[str]]
) -> ast.Module | ast.ClassDef:
    """Move the functions of a module or class into `parts`. Their names stay in their place: the
    order of definitions can matter, as in a class's fields or a decorator's register."""
    for number, node in enumerate(block.body):
        if isinstance(node, ast.ClassDef) and not prefix:
            name = node.name
            dump = ast.dump(_split_off_functions(node, f"{name}.", parts))
        elif isinstance(node, _FUNCTION):
            name = f"{prefix}{node.name}"
            dump = ast.dump(node)
        else:
            continue
        # The same name again: both count, under it.
        parts.setdefault(name, []).append(dump)
        block.body[number] = ast.Expr(ast.Constant(f"defined here: {name}"))
    return block
