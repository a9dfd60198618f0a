"""Finds the fenced code blocks of an answer, for every place that looks at one.

markdown-it-py parses the answer by CommonMark (https://spec.commonmark.org/0.31.2/, 4.5), with the
rules that can hold a fence: lists and quotations. Models write Markdown less strictly than the
standard reads it, so six things differ, each as a person would read it:

- a fence may stand behind words on the same line, as in "Add six: ```python";
- a fence may be indented by any amount;
- a block in a list goes on over lines that are not indented, if a closing fence follows;
- of a block that is itself Markdown, the blocks within it count;
- where no fence names a language, one may stand alone on the line below it;
- every line of text stands alone, and HTML is text.
"""

import re
from functools import cache
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

SHELLS = ("sh", "bash", "shell", "zsh", "console", "terminal", "shellsession", "shell-session")
"""Languages of the fenced blocks that are shell commands."""
SHELL_CELLS = ("%%bash", "%%sh", "%%shell", "%%script")
"""Magics that make a notebook's cell one of shell commands."""

_LANGUAGES = (
    *("python", "python3", "py", *SHELLS),
    *("cpp", "c++", "java", "javascript", "js", "php", "rust", "typescript", "ts", "swift"),
)
"""Languages that are read on a line of their own."""

_OPENING = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})(.*)")
# Behind words an info string is one word, with attributes at most: other text may name a fence.
_BEHIND_WORDS = re.compile(r".*?[^`](`{3,})([ \t]*[^\s`]*(?:[ \t]+[^\s`=]+=[^`]*)?[ \t]*)$")
_CLOSING = re.compile(r"(`{3,}|~{3,})[ \t]*$")
# A "#" is the end of a name (c#), or begins what is no part of it (python#main).
_WORD = re.compile(r"[\w+-]+#?(?![\w-])|[\w+-]+")
# What may stand before the language; `language=python` is the language.
_ATTRIBUTE = re.compile(r"(?!lang)[a-z][\w-]*=(?P<value>\"[^\"]*\"|'[^']*'|\S+)(?=\s|$)")
_FILE_NAME = re.compile(r"\S*\w\.([A-Za-z]\w*)")
_MARKDOWN = ("markdown", "md")
_DIRECTIVES = ("code", "code-block", "code-cell")


class Block(NamedTuple):
    """A fenced block.

    language:   first word of the info string, in lower case and without decoration; "" without one.
    text:       the lines between the fences, without the opening fence's indentation, and without
                the language if it is the first of them.
    start, end: the characters of `unix(answer)` that the block takes, fences included.
    """

    language: str
    text: str
    start: int
    end: int


def unix(text: str) -> str:
    """The same lines as Python's parser counts them, each ended by one newline character."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fenced(answer: str) -> list[Block]:
    """Every fenced block of an answer, in order. One that the token limit cut off ends with it."""
    source = unix(answer)
    if "```" not in source and "~~~" not in source:
        return []
    blocks = [
        Block(language_of(token.info), token.content, *token.meta["span"])
        for token in _parser().parse(source)
        if token.type == "fence"
    ]
    if not any(block.language for block in blocks):
        blocks = list(map(_named_below, blocks))
    return [inner for block in blocks for inner in _within(block, source) or [block]]


def _named_below(block: Block) -> Block:
    """The block with the language that stands alone on its first line."""
    first, _, rest = block.text.partition("\n")
    word = first.strip().lower()
    named = word in _LANGUAGES and rest.strip()
    return block._replace(language=word, text=rest) if named else block


def _within(block: Block, source: str) -> list[Block]:
    """The blocks in a block of Markdown; none in another, or where its text is indented."""
    first = source.find("\n", block.start) + 1
    if block.language not in _MARKDOWN or not source.startswith(block.text, first):
        return []
    return [b._replace(start=first + b.start, end=first + b.end) for b in fenced(block.text)]


def language_of(info: str) -> str:
    """The language that an info string names: "python" for `Python`, `{.python}`,
    `python title="x"`, `title="x" python`, `language-python`, `#!python` and `python:main.py`, "py"
    for `main.py`, `title="main.py"`, `main.py#L1-L9` and `12:15:main.py`, lines of a file."""
    info = info.strip().lower()
    values = []
    while attribute := _ATTRIBUTE.match(info):
        values.append(attribute["value"].strip("\"'"))
        info = info[attribute.end() :].lstrip()
    info = info or next(filter(_FILE_NAME.fullmatch, values), "")
    if info.startswith("{"):
        words = [word.strip("{}") for word in info.replace("{", "").replace("}", " ").split()]
        info = next((w for w in words if w not in _DIRECTIVES and w[:1] != "#"), "")
    word = info.split()[0].removeprefix("#!") if info else ""
    parts = [part for part in word.split(":") if not part.isdigit() and part not in _DIRECTIVES]
    word = ":".join(parts) or word
    if name := _FILE_NAME.fullmatch(re.split("[:#]", word)[0]):
        return name[1]
    word = re.sub(r"^lang(uage)?=\W?", "", word)
    found = _WORD.search(word)
    return found[0].removeprefix("language-").removeprefix("lang-") if found else ""


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["block"])  # `normalize` would change null bytes
    rules = parser.block.ruler
    rules.enableOnly(["fence", "blockquote", "list", "paragraph"])
    rules.at("fence", _fence, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    rules.at("paragraph", _text_line)
    rules.before("paragraph", "fence_behind_words", _fence_behind_words)
    return parser


def _fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Block rule: a fenced block, from its opening fence to its closing one."""
    opening = _OPENING.match(_line(state, start))
    if opening and not silent:
        _push(state, start, end, opening)
    return bool(opening)


def _fence_behind_words(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Block rule: a fenced block whose opening fence ends a line of text."""
    line = _line(state, start)
    opening = _BEHIND_WORDS.match(line)
    # Of an even number of fences on a line the last one closes inline code.
    if not opening or len(re.findall("`{3,}", line)) % 2 == 0:
        return False
    if not opening[2].strip() and _closing_line(state, start, end, opening[1]) is None:
        return False
    if not silent:
        _push(state, start, end, opening)
    return True


def _text_line(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Block rule: one line of anything else. A paragraph of several lines would swallow a fence
    that is indented."""
    state.line = start + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


def _push(state: StateBlock, start: int, end: int, opening: re.Match) -> None:
    """Add the token of the block whose opening fence, and info string, were matched on a line."""
    fence, info = opening.groups()
    last = _closing_line(state, start, end, fence)
    content_end = _content_end(state, start, end) if last is None else last
    state.line = content_end + (last is not None)
    inner = range(start + 1, content_end)
    # Code that is less indented than its fence keeps its own indentation.
    indents = [state.sCount[number] for number in inner if not state.isEmpty(number)]
    token = state.push("fence", "code", 0)
    token.info, token.markup, token.map = info, fence, [start, state.line]
    token.content = state.getLines(
        start + 1, content_end, min([state.sCount[start], *indents]), True
    )
    first = state.bMarks[start] + state.tShift[start] + opening.start(1)
    token.meta = {"span": (first, state.eMarks[state.line - 1])}


def _closing_line(state: StateBlock, start: int, end: int, fence: str) -> int | None:
    """The line of the closing fence, None where the block is not closed.

    Outside the list item that holds the opening fence, another opening fence ends the search.
    """
    deepest = max(state.blkIndent + 3, state.sCount[start])
    for number in range(start + 1, end):
        line = _line(state, number)
        closing = _CLOSING.match(line)
        if closing and closing[1].startswith(fence) and state.sCount[number] <= deepest:
            return number
        outside = line and state.sCount[number] < state.blkIndent
        if outside and not closing and _OPENING.match(line):
            return None
    return None


def _content_end(state: StateBlock, start: int, end: int) -> int:
    """The line after an unclosed block: the end of the list item that holds it, or of the text."""
    for number in range(start + 1, end):
        if not state.isEmpty(number) and state.sCount[number] < state.blkIndent:
            return number
    return end
