"""Shell commands parted into what `pip install` is asked for and what runs.

Only the spelling of commands is looked at, nothing is run. `pip install` is not run in the box,
which has no network: its requirements are handed over to the sandbox's packages, and the command
becomes `:` where others hang on it.
"""

import re
import shlex
from collections.abc import Iterator

_PROMPT = re.compile(r"[ \t]*[$%][ \t]+")
_HEREDOC = re.compile(r"""<<-?[ \t]*\\?(["']?)(\w+)\1""")
# A command up to the next `&&`, `||`, `;` or comment, none of which counts within quotes.
_PIECE = re.compile(
    r"""&&|\|\||;|(?<!\S)\#.*|
    (?:[^'"\\&;|#]|\\.|'[^']*'|"(?:\\.|[^"\\])*"|&(?!&)|\|(?!\|)|(?<=\S)\#)+""",
    re.DOTALL | re.VERBOSE,
)
_IDLE = re.compile(r"(?:[ \t:;]|&&|\|\|)*(?:#.*)?")
_BEFORE = re.compile(r"!|sudo|env|uv|[A-Za-z_]\w*=.*", re.DOTALL)
_PIP = re.compile(r"[!%]?(?:\S*/)?pip[\d.]*")
_PYTHON = re.compile(r"!?(?:\S*/)?py(?:thon[\d.]*)?")
_REDIRECTION = re.compile(r"(?:\d*|&)>>?(&\d)?(.*)", re.DOTALL)
# Options with a value: those that name other sources are refused later on, the rest is dropped.
_SOURCES = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
    "--extra-index-url": "--extra-index-url",
}
_VALUES = {
    *("-t", "--target", "--root", "--prefix", "--src", "--cache-dir", "--log", "--report"),
    *("--platform", "--python-version", "--implementation", "--abi", "--upgrade-strategy"),
    *("--no-binary", "--only-binary", "--timeout", "--retries", "--proxy", "--trusted-host"),
    *("--progress-bar", "--root-user-action", "--python", "--cert", "--client-cert"),
}


def split(text: str) -> tuple[list[str], str]:
    """What `pip install` is asked for, in order, and the commands without it.

    Where commands stand behind a prompt, the other lines are what they printed. An option that
    names another source (`-r`, `-e`, `-i`) is kept with its value, to be refused by name.
    """
    requirements: list[str] = []
    rest: list[str] = []
    for command in _commands(_without_prompts(text)):
        asked, left = _part(command)
        requirements += asked
        rest.append(left)
    if all(_IDLE.fullmatch(command) for command in rest):
        return requirements, ""
    return requirements, "\n".join(rest).strip("\n")


def _without_prompts(text: str) -> str:
    lines = text.split("\n")
    if not any(_PROMPT.match(line) for line in lines):
        return text
    kept, goes_on = [], False
    for line in lines:
        prompt = _PROMPT.match(line)
        if prompt or goes_on:
            line = line[prompt.end() :] if prompt else line.removeprefix("> ")
            kept.append(line)
            goes_on = line.endswith("\\")
    return "\n".join(kept)


def _commands(text: str) -> Iterator[str]:
    """Lines, with what belongs together in one: continued lines, and a heredoc with its text."""
    lines = iter(text.split("\n"))
    for line in lines:
        while line.endswith("\\") and (following := next(lines, None)) is not None:
            line = line[:-1] + following
        if heredoc := _HEREDOC.search(line):
            for following in lines:
                line += "\n" + following
                if following.strip() == heredoc[2]:
                    break
        yield line


def _part(command: str) -> tuple[list[str], str]:
    """Requirements, and the command with `:` in place of what installs."""
    pieces = _PIECE.findall(command)
    if "<<" in command or "".join(pieces) != command:
        return [], command
    requirements: list[str] = []
    for place, piece in enumerate(pieces):
        asked = _asked(piece)
        if asked is not None:
            requirements += asked
            pieces[place] = f"{' ' * (len(piece) - len(piece.lstrip()))}: "
            command = "".join(pieces).rstrip()
    return requirements, command


def _asked(piece: str) -> list[str] | None:
    """What one command asks to be installed; None when it is no `pip install`."""
    try:
        words = shlex.split(piece, comments=True)
    except ValueError:
        return None
    while words and (_BEFORE.fullmatch(words[0]) or words[0] == "-H"):
        del words[0]
    if len(words) > 2 and _PYTHON.fullmatch(words[0]) and words[1] == "-m":
        del words[:2]
    if not words or not _PIP.fullmatch(words[0]):
        return None
    place = next((n for n, word in enumerate(words[1:], 1) if not word.startswith("-")), 0)
    if not place or words[place] != "install":
        return None
    return _requirements(words[place + 1 :])


def _requirements(words: list[str]) -> list[str]:
    found = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        redirection = _REDIRECTION.fullmatch(word)
        if word in ("|", "&", "<"):
            break
        if redirection and not redirection[2].startswith("="):
            if not redirection[1] and not redirection[2]:
                next(left, None)
        elif name in _SOURCES or name in _SOURCES.values():
            value = value if equals else next(left, "")
            found.append(f"{_SOURCES.get(name, name)} {value}".strip())
        elif word in _VALUES:
            next(left, None)
        elif word and not word.startswith("-"):
            found.append(word)
        elif word[:2] in _SOURCES and not word.startswith("--"):
            found.append(f"{_SOURCES[word[:2]]} {word[2:]}")
    return found
