"""Finds the Python program in an answer, which may be spread over several fenced blocks."""

import ast
import re
from collections.abc import Sequence

from aiev.languages.base import Code
from aiev.languages.markdown import SHELL_CELLS, SHELLS, Block, fenced, language_of, unix
from aiev.languages.python.functions import BROKEN, parse
from aiev.languages.python.parts import has_tests, joined, part_of, with_others

FENCES = ("python", "py", "python3", "py3", "ipython", "ipython3", "jupyter", "tool_code")
"""Languages of the fenced blocks that are Python; the last is Gemini's."""

# A fence on a line, which words may follow at the left margin, or a closing one behind code.
_INNER_FENCE = re.compile(
    r"^(?:`{3,}|~{3,})(?P<info>[^`\n]*)$|^[ \t]+`{3,}[ \t]*$|(?<=[^\s`])`{3,}[ \t]*$", re.MULTILINE
)
_DECLARATIONS = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Import, ast.ImportFrom, ast.Assert),
)
_DECLARATION = re.compile(r"^(?:def|async|class|import|from|assert|@)\b", re.MULTILINE)
"""A line of a program that does not parse; in a traceback they are indented."""
# A notebook's commands and magics, and those of them that mean something to a shell.
_MAGICS, _SHELL = ("!", "%"), ("!", "%pip ", "%uv ", "%cd ")


def python_blocks(answer: str) -> list[Block]:
    """The fenced blocks of an answer that are programs: those that say that they are Python, or
    where none does those that say nothing, which else may be what a program prints, unless they are
    tests; or else those that are Python by their text, whatever they say.

    A block that the token limit cut off counts: running it will tell.
    """
    blocks = [block for block in fenced(answer) if block.text.strip()]
    named = [block for block in blocks if block.language in FENCES]
    bare = [block for block in blocks if not block.language]
    if named:
        bare = [block for block in bare if _are_tests(block.text)]
    if not named and not bare:
        bare = [b for b in blocks if b.language not in SHELLS and _defines(b.text)]
    blocks = _repaired(sorted(named + bare, key=lambda block: block.start), unix(answer))
    return [block for block in blocks if not _is_shown(block.text)] or blocks


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
    parts = [
        part_of(block, *_without_commands(block.text.strip("\n")))
        for block in python_blocks(answer)
    ]
    if not parts:
        return None
    parts = [with_others(part, parts) for part in parts]
    main = max(parts, key=lambda part: len(part.text.strip()))
    if name:
        block = longest([part.block for part in parts], name)
        main = next(part for part in parts if part.block == block)
    chosen = joined(main, parts)
    text = "\n\n\n".join(part.text for part in chosen)
    # A block of nothing but a notebook's commands belongs to any program.
    shell = [part.shell for part in parts if part in chosen or not part.text.strip()]
    blocks = sorted((part.block for part in chosen), key=lambda block: block.start)
    return Code(text, tuple(blocks), "\n".join(filter(None, shell)))


def code_block(answer: str) -> str | None:
    """Source of the program that is run of an answer; None without one."""
    code = program_of(answer)
    return code and code.text


def _are_tests(text: str) -> bool:
    try:
        return has_tests(parse(text))
    except BROKEN:
        return False


def _defines(text: str) -> bool:
    """Whether a text is a program in Python, and not by chance, as words and JSON may be."""
    try:
        body = parse(text).body
    except BROKEN:
        return False
    return any(isinstance(node, _DECLARATIONS) for node in body)


def _is_shown(text: str) -> bool:
    """Whether a text shows how a program is used, or what it prints: a session at Python's prompt,
    a value, a traceback."""
    if text.lstrip().startswith((">>>", "In [")):
        return True
    text, shell = _without_commands(text)
    if shell and not text.strip():
        return False
    try:
        nodes = list(ast.walk(parse(text)))
    except BROKEN:
        return not _DECLARATION.search(text)
    values = all(isinstance(n, ast.Expr) for n in nodes if isinstance(n, ast.stmt))
    return values and not any(isinstance(n, ast.Call | ast.Await) for n in nodes)


def _without_commands(text: str) -> tuple[str, str]:
    """A program without the lines that are a notebook's commands and magics, and the former as a
    shell reads them; other magics concern the notebook alone.

    The lines stay, empty, so that line numbers do not change.
    """
    lines = text.split("\n")
    found = [line for line in lines if line.startswith(_MAGICS)]
    if not found or _parses(text):
        return text, ""
    if lines[0].startswith(SHELL_CELLS):
        return "", "\n".join(lines[1:])
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
