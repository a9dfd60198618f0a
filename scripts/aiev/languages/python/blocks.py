"""Finds the Python program in an answer, which may be spread over several fenced blocks."""

import ast
import builtins
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiev.languages.base import Code
from aiev.languages.markdown import Block, fenced, language_of, unix
from aiev.languages.python.functions import BROKEN, free_names, parse

FENCES = ("python", "py", "python3", "py3", "ipython", "ipython3", "jupyter", "tool_code")
"""Languages of the fenced blocks that are Python; the last is Gemini's."""

# A fence on a line, which words may follow at the left margin, or a closing one behind code.
_INNER_FENCE = re.compile(
    r"^`{3,}(?P<info>[^`\n]*)$|^[ \t]+`{3,}[ \t]*$|(?<=[^\s`])`{3,}[ \t]*$", re.MULTILINE
)
# A notebook's commands and magics, and those of them that mean something to a shell.
_MAGICS, _SHELL = ("!", "%"), ("!", "%pip ", "%uv ", "%cd ")


def python_blocks(answer: str) -> list[Block]:
    """The fenced blocks of an answer that are programs: those that say that they are Python, or
    where none does those that say nothing, which else may be what a program prints, unless they are
    tests.

    A block that the token limit cut off counts: running it will tell.
    """
    blocks = [block for block in fenced(answer) if block.text.strip()]
    named = [block for block in blocks if block.language in FENCES]
    bare = [block for block in blocks if not block.language]
    if named:
        bare = [block for block in bare if _are_tests(block.text)]
    blocks = _repaired(sorted(named + bare, key=lambda block: block.start), unix(answer))
    # What was typed at Python's prompt shows how a program is used, and is none itself.
    return [b for b in blocks if not b.text.lstrip().startswith(">>>")] or blocks


def longest(blocks: Sequence[Block], name: str = "") -> Block | None:
    """The longest block, of those that define the function or class `name` where some do; None
    without a block."""
    defining = [b for b in blocks if f"def {name}(" in b.text or f"class {name}" in b.text]
    chosen = defining if name and defining else blocks
    return max(chosen, key=lambda block: len(block.text.strip("\n")), default=None)


def program_of(answer: str, name: str = "") -> Code | None:
    """The program that is run of an answer; None without one.

    It is the longest block, with what belongs to it: blocks that define what it uses, and where
    it has no tests, the blocks that test what it defines. name: of a function or class, which the
    longest block has to define where some do.
    """
    parts = [_part(block, block.text.strip("\n")) for block in python_blocks(answer)]
    if not parts:
        return None
    parts = [_with_others(part, parts) for part in parts]
    main = max(parts, key=lambda part: len(part.text))
    if name:
        block = longest([part.block for part in parts], name)
        main = next(part for part in parts if part.block == block)
    chosen = _joined(main, parts)
    text = "\n\n\n".join(part.text for part in chosen)
    shell = "\n".join(part.shell for part in chosen if part.shell)
    blocks = sorted((part.block for part in chosen), key=lambda block: block.start)
    return Code(text, tuple(blocks), shell)


def code_block(answer: str) -> str | None:
    """Source of the program that is run of an answer; None without one."""
    code = program_of(answer)
    return code and code.text


@dataclass(frozen=True)
class _Part:
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


def _part(block: Block, source: str) -> _Part:
    text, shell = _without_commands(source)
    try:
        tree = parse(text)
        table = symtable.symtable(text, "block", "exec")
        needs = free_names(text)
    except BROKEN:
        return _Part(block, text, shell)
    symbols = table.get_symbols()
    binds = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    defines = {s.get_name() for s in symbols if s.is_namespace()}
    needs = needs - binds - defines - set(vars(builtins)) - {"__name__", "__file__"}
    return _Part(
        *(block, text, shell, True),
        *map(frozenset, (defines, binds | defines, needs)),
        _has_tests(tree),
    )


def _with_others(part: _Part, parts: list[_Part]) -> _Part:
    """The part without imports of what other parts define, as from `solution.py`: together they
    are one file. The lines stay, empty."""
    if not part.parses or len(parts) == 1:
        return part
    others = frozenset().union(*(other.defines for other in parts if other is not part))
    lines = part.text.split("\n")
    for node in parse(part.text).body:
        if isinstance(node, ast.ImportFrom) and all(
            name.name in others and not name.asname for name in node.names
        ):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    text = "\n".join(lines)
    return part if text == part.text else replace(_part(part.block, text), shell=part.shell)


def _are_tests(text: str) -> bool:
    try:
        return _has_tests(parse(text))
    except BROKEN:
        return False


def _has_tests(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower()[:4] == "test":
            return True
    return False


def _joined(main: _Part, parts: list[_Part]) -> list[_Part]:
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


def _needs(parts: list[_Part]) -> frozenset[str]:
    bound = frozenset().union(*(part.binds for part in parts))
    return frozenset().union(*(part.needs for part in parts)) - bound


def _without_commands(text: str) -> tuple[str, str]:
    """A program without the lines that are a notebook's commands and magics, and the former as a
    shell reads them; other magics concern the notebook alone.

    The lines stay, empty, so that line numbers do not change.
    """
    lines = text.split("\n")
    found = [line for line in lines if line.startswith(_MAGICS)]
    if not found or _parses(text):
        return text, ""
    kept = ["" if line.startswith(_MAGICS) else line for line in lines]
    return "\n".join(kept), "\n".join(line[1:] for line in found if line.startswith(_SHELL))


def _parses(text: str) -> bool:
    try:
        parse(text)
    except BROKEN:
        return False
    return True


def _repaired(blocks: list[Block], source: str) -> list[Block]:
    """The blocks, where one that does not parse may end elsewhere than CommonMark says: later, if
    the fence is part of a docstring, or earlier, if its closing fence is missing or ends a line of
    code."""
    repaired: list[Block] = []
    for block in blocks:
        if repaired and block.start < repaired[-1].end:
            continue
        first = source.find("\n", block.start) + 1
        below = source[first:].partition("\n")[0].strip().lower()
        if below and below == block.language:  # the language has a line of its own
            first = source.find("\n", first) + 1
        if first and not _parses(block.text):
            longer = _longer(block, source, first)
            # An indented block's text is not found in the source as it stands.
            found = source.startswith(block.text, first)
            repaired += longer or (found and _shorter(block, source, first)) or [block]
        else:
            repaired.append(block)
    return [block for block in repaired if block.text.strip()]


def _longer(block: Block, source: str, first: int) -> list[Block]:
    """The block up to the first later fence that makes it a program; none without one."""
    before = source[source.rfind("\n", 0, block.start) + 1 : block.start]
    indent = "" if before.strip() else before
    bare_fence = re.compile(rf"^(?:{indent})?(?:`{{3,}}|~{{3,}})[ \t]*$", re.MULTILINE)
    if '"""' in block.text or "'''" in block.text:
        for fence in bare_fence.finditer(source, block.end):
            text = re.sub(rf"^{indent}", "", source[first : fence.start()], flags=re.MULTILINE)
            if _parses(text):
                return [Block(block.language, text, block.start, fence.end())]
    return []


def _shorter(block: Block, source: str, first: int) -> list[Block]:
    """The block up to the first fence within it, if that makes it a program, and the one that
    this fence opens, if it opens one for Python; none without such a fence."""
    fence = _INNER_FENCE.search(block.text)
    if not fence or not _parses(text := block.text[: fence.start()]):
        return []
    if language_of(fence["info"] or "") not in FENCES:
        return [Block(block.language, text, block.start, first + fence.end())]
    opened = Block(block.language, block.text[fence.end() + 1 :], first + fence.start(), block.end)
    return [Block(block.language, text, block.start, opened.start), opened]
