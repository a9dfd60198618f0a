"""What a language is to the pipeline: how an answer's program is found, and run in the sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiev.languages.markdown import Block

if TYPE_CHECKING:  # what reads programs and runs none is not stale when the sandbox changes
    from aiev.sandbox.request import Limits, Request


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
    """How programs of one language are found, and run in the sandbox."""

    def program(self, answer: str) -> Code | None:
        """The program that an answer has run, None without one."""

    def request(
        self, script: Script, limits: "Limits", mounts: Mapping[str, Path], hash_seed: int
    ) -> "Request":
        """The sandbox's request that runs `script.code`."""
