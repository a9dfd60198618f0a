"""Whether tests reach for the process that runs them.

Tests run in a process that holds no code of the solution's, but of their own: what a test needs to
look at frames, at loaded modules or at its own memory in order to report for the checker is found
by its names. This finds the known ways, not every way.
"""

import ast

INNER = frozenset(
    {
        *("_getframe", "_current_frames", "currentframe", "f_back", "f_locals", "f_globals"),
        *("f_builtins", "f_code", "tb_frame", "gi_frame", "cr_frame", "settrace", "setprofile"),
        *("addaudithook", "get_objects", "get_referrers", "get_referents", "__globals__"),
        *("__code__", "__closure__", "__builtins__", "__subclasses__", "__bases__"),
    }
)
"""Names and attributes; also as text, which getattr and eval take."""

MODULES = frozenset({"gc", "ctypes", "_ctypes", "boxed", "posix", "faulthandler"})
OF_MODULE = {
    "sys": frozenset({"modules", "meta_path", "path_hooks"}),
    "os": frozenset(
        {
            *("_exit", "abort", "write", "writev", "pwrite", "pwritev", "sendfile"),
            *("dup", "dup2", "fdopen", "kill"),
        }
    ),
}
TEXTS = (*INNER, "sys.modules", "/proc/", "__import__")


def reaches(source: str, imports: list[str]) -> str:
    """What the tests reach for, in one word; "" where nothing is known. imports: those that they
    share with the solution, which may need such a module itself."""
    tree = ast.parse(source)
    nodes = [n for line in imports for n in ast.parse(line).body if isinstance(n, ast.ImportFrom)]
    return next(filter(None, map(_reached, [*nodes, *ast.walk(tree)])), "")


def _reached(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        names = {alias.name.partition(".")[0] for alias in node.names}
        return min(names & MODULES, default="")
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return min(names & (INNER | OF_MODULE.get(node.module, frozenset())), default="")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return next((text for text in TEXTS if text in node.value), "")
    if isinstance(node, ast.Attribute):
        own = OF_MODULE.get(getattr(node.value, "id", ""), frozenset())
        return node.attr if node.attr in INNER | own else ""
    return node.id if isinstance(node, ast.Name) and node.id in INNER | MODULES else ""
