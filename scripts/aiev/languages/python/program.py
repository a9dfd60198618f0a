"""What a model's program imports and defines. Nothing is run here."""

import ast
import symtable

from aiev.languages.markdown import unix
from aiev.languages.python.functions import BROKEN, parse


def missing_imports(reference: str, solution: str) -> str:
    """The reference's import statements, one a line, without names that the solution itself binds.

    "" if either does not parse.
    """
    try:
        tree = parse(reference)
        table = symtable.symtable(unix(solution), "solution", "exec")
    except BROKEN:
        return ""
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    lines = []
    for node in tree.body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        names = [n for n in node.names if (n.asname or n.name).partition(".")[0] not in bound]
        if names:
            node.names = names
            lines.append(ast.unparse(node) + "\n")
    return "".join(lines)


def undisclosed_names(tests: str, reference: str, entry_point: str) -> list[str]:
    """Sorted names that the tests use and only the reference defines, without its entry point and
    its imports; none if either does not parse."""
    try:
        used = {n.id for n in ast.walk(parse(tests)) if isinstance(n, ast.Name)}
        table, own = (symtable.symtable(unix(t), "", "exec") for t in (reference, tests))
    except BROKEN:
        return []
    used -= {s.get_name() for s in own.get_symbols() if s.is_assigned()}
    given = {s.get_name() for s in table.get_symbols() if s.is_assigned() and not s.is_imported()}
    return sorted(used & given - {entry_point})
