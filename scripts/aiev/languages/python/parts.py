"""Blocks of one answer that are one program together: which of them, and in which order."""

import ast
import builtins
import symtable
from dataclasses import dataclass

from aiev.languages.markdown import Block
from aiev.languages.python.functions import BROKEN, free_names, parse

OWN_MODULES = frozenset(
    {"solution", "main", "program", "script", "module", "my_module", "your_module", "your_code"}
)
"""Names that answers give to the file of their own first block."""


@dataclass(frozen=True)
class Part:
    """A block's program. defines: its functions and classes. binds: all names that it gives a
    value at its top level. needs: names that it uses and neither it nor Python has."""

    block: Block
    text: str
    shell: str
    parses: bool = False
    defines: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    tests: bool = False


def part_of(block: Block, text: str, shell: str) -> Part:
    """The part that a block is. text, shell: its program, and the commands that stood in it."""
    try:
        tree = parse(text)
        table = symtable.symtable(text, "block", "exec")
        needs = free_names(text)
    except BROKEN:
        return Part(block, text, shell)
    symbols = table.get_symbols()
    binds = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    defines = {s.get_name() for s in symbols if s.is_namespace()}
    needs = needs - binds - defines - set(vars(builtins)) - {"__name__", "__file__"}
    return Part(
        *(block, text, shell, True),
        *map(frozenset, (defines, binds | defines, needs)),
        has_tests(tree),
    )


def with_others(part: Part, parts: list[Part]) -> Part:
    """The part without imports of what other parts define, as from `solution.py`: together they
    are one file. The lines stay, empty."""
    if not part.parses or len(parts) == 1:
        return part
    others = frozenset().union(*(other.defines for other in parts if other is not part))
    tree, lines = parse(part.text), part.text.encode().split(b"\n")
    for node in tree.body:
        if _imports_from(node, others) or _without_module(node, tree, others, lines):
            lines[node.lineno - 1 : node.end_lineno] = [b""] * (node.end_lineno - node.lineno + 1)
    text = b"\n".join(lines).decode()
    return part if text == part.text else part_of(part.block, text, part.shell)


def _imports_from(node: ast.stmt, others: frozenset[str]) -> bool:
    """Whether it is `from solution import add`, or `import *`, of what others define."""
    if not isinstance(node, ast.ImportFrom):
        return False
    if node.names[0].name == "*":
        return bool(node.level or node.module in OWN_MODULES | others)
    return all(name.name in others and not name.asname for name in node.names)


def _without_module(
    node: ast.stmt, tree: ast.Module, others: frozenset[str], lines: list[bytes]
) -> bool:
    """Whether it is `import solution`, and all that is used of it what others define; then
    `solution.add` is `add` in the lines, which are bytes as the tree counts columns."""
    if not isinstance(node, ast.Import) or len(node.names) > 1:
        return False
    module, name = node.names[0].name, node.names[0].asname or node.names[0].name
    if module not in OWN_MODULES | others:
        return False
    used = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    places = [
        (n.lineno, n.value.col_offset, n.end_col_offset - len(n.attr.encode()))
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and n.value in used and n.attr in others
    ]
    dotted = f"{name}.".encode()
    # Python 3.11 counts columns of what stands in an f-string from the string's start.
    if len(places) < len(used) or any(lines[n - 1][i:j] != dotted for n, i, j in places):
        return False
    for number, first, last in sorted(places, reverse=True):
        lines[number - 1] = lines[number - 1][:first] + lines[number - 1][last:]
    return True


def has_tests(tree: ast.Module) -> bool:
    """Whether a program asserts something, or defines tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower()[:4] == "test":
            return True
    return False


def joined(main: Part, parts: list[Part]) -> list[Part]:
    """`main` with what belongs to it, in the order in which it has to run."""
    if not main.parses:
        return [main]
    chosen, before, after = [main], [], []
    while needed := _needs(chosen):
        # Of several that define a name, the last before the main one, or else the first after it.
        others = [p for p in parts if p.parses and p not in chosen and p.binds & needed]
        others = [p for p in others if not any(p.defines & c.defines for c in chosen)]
        if not others:
            break
        earlier = [p for p in others if p.block.start < main.block.start]
        before.append(earlier[-1] if earlier else others[0])
        chosen = [*before, main]
    if not any(part.tests for part in chosen):
        known = frozenset().union(*(part.defines for part in chosen))
        for part in parts:
            own = part.parses and part.tests and part not in chosen
            if own and part.needs & known and not part.defines & known:
                after.append(part)
    before.sort(key=lambda part: part.block.start)
    return [*before, main, *after]


def _needs(parts: list[Part]) -> frozenset[str]:
    bound = frozenset().union(*(part.binds for part in parts))
    return frozenset().union(*(part.needs for part in parts)) - bound
