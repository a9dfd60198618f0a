"""What a language is to the pipeline, and the registry of them.

A language is a package of aiev.languages with a module `language` that defines the class
`Language`, or a file outside that defines it. The other modules here serve all languages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiev.core.registry import Registry
from aiev.languages.markdown import Block

if TYPE_CHECKING:  # what reads programs and runs none is not stale when the sandbox changes
    from aiev.sandbox.request import Limits, Request

LANGUAGES = Registry("language", "aiev.languages", "Language", module="language")


@dataclass(frozen=True)
class Code:
    """The program that an answer has run.

    text:   its source.
    blocks: the fenced blocks that it was taken from, in the answer's order.
    shell:  commands that stood in these blocks, as a notebook spells them (`!pip install x`).
    """

    text: str
    blocks: tuple[Block, ...]
    shell: str = ""


@dataclass(frozen=True)
class Program:
    """A program split in two: `solution + tests` does what the whole did.

    entry_point: the solution's function that the asserts call most; "" when they call none.
    asserts: how many assert statements call it.
    """

    solution: str
    tests: str
    entry_point: str
    asserts: int


@dataclass(frozen=True)
class Script:
    """A program and what runs before it.

    code:         source of the program.
    shell:        shell commands that run first.
    requirements: packages to be installed, as `pip install` takes them.
    packages:     {name, version, sha256} of packages on record, in place of requirements.
    """

    code: str
    shell: str = ""
    requirements: tuple[str, ...] = ()
    packages: tuple[dict[str, str], ...] = ()


class Language(Protocol):
    """How programs of one language are found, split, and run in the sandbox."""

    fences: tuple[str, ...]
    """Info strings of its fenced blocks, in lower case."""
    prompt_name: str
    """Its name in prompts."""

    def program(self, answer: str) -> Code | None:
        """The program that an answer has run, None without one."""

    def split(self, code: str) -> Program:
        """Solution and tests of a program. Raises SyntaxError where it is none."""

    def stub(self, solution: str, only: str = "") -> str:
        """The solution with empty function bodies, or with those of one definition alone. Raises
        SyntaxError."""

    def request(
        self, script: Script, limits: "Limits", mounts: Mapping[str, Path], hash_seed: int
    ) -> "Request":
        """The sandbox's request that runs `script.code`."""

    def normal_form(self, code: str) -> str:
        """A text that is equal for programs that differ in comments and layout only."""
