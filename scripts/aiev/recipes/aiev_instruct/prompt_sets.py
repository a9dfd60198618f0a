"""Prompt sets (`dialogues.prompts`): the texts that the two roles are sent, a directory each.

A set is a manifest, prompts.toml, and the Markdown files that it names, directly beside it. `$name`
marks a value in a template; system texts and few-shot turns are sent as they are. Its files are
part of the code digest of the jobs that use it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated

from pydantic import AfterValidator

from aiev.core.errors import UserError
from aiev.core.hashing import of_json
from aiev.core.settings import did_you_mean, invalid
from aiev.core.templates import MANIFEST
from aiev.recipes.aiev_instruct.manifest import (
    ProgrammerPrompts,
    QuestionerPrompts,
    Role,
    read_set,
)

SHIPPED = Path(__file__).with_name("prompts")
PACKAGE = "aiev.recipes.aiev_instruct.prompts"


@dataclass(frozen=True)
class PromptSet:
    """A set that was checked. texts: by file name, without the newline at the end."""

    questioner: QuestionerPrompts
    programmer: ProgrammerPrompts
    texts: Mapping[str, str]

    def fill(self, file: str, **values: str) -> str:
        """The template in a file, with these values; those that it does not use are ignored."""
        return Template(self.texts[file]).substitute(values)

    def system(self, role: Role, packages: bool) -> str:
        """The system message of a role, "" for none. packages: whether some may be installed."""
        file = (packages and role.system_packages) or role.system
        return self.texts[file] if file else ""

    def propose(self, seed: str, language: str) -> str:
        """The question for a problem from a snippet, or from prose (language "text")."""
        role = self.questioner
        varied = {name: _one(name, texts, seed) for name, texts in role.vary.items()}
        if language == "text":
            return self.fill(role.propose_text, seed=seed.strip(), **varied)
        return self.fill(role.propose, seed=seed, language=language, **varied)

    def proposed(self) -> Iterator[tuple[str, str]]:
        """Question and answer of each few-shot turn of the Questioner."""
        for example in self.questioner.examples:
            question = self.propose(self.texts[example.seed], example.language)
            yield question, self.texts[example.answer]

    def solved(self) -> Iterator[tuple[str, str]]:
        """Question and answer of each few-shot turn of the Programmer."""
        for example in self.programmer.examples:
            problem, name = self.texts[example.problem], example.function
            question = self.fill(self.programmer.solve, problem=problem, function=name)
            yield question, self.texts[example.answer]


def _one(name: str, texts: list[str], seed: str) -> str:
    return texts[int(of_json([name, seed])[:8], 16) % len(texts)]


def names() -> list[str]:
    """Names of the sets that ship with the recipe, sorted."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{MANIFEST}"))


def source(name: str) -> str:
    """What the code digest of a job that uses the set must follow: the dotted name of a shipped
    one, or the path of a directory, with a slash at its end."""
    return f"{PACKAGE}.{name}" if name in names() else f"{name.rstrip('/')}/"


def load(name: str) -> PromptSet:
    """Read and check a set. name: of a shipped one, or the path of a directory.

    Raises UserError for an unknown name, and for the first mistake in a set, with file and key.
    """
    folder = SHIPPED / name if name in names() else Path(name)
    if not folder.is_dir():
        hint = f"use one of {', '.join(names())}, or the path of a directory with a {MANIFEST}"
        message = f"no prompt set and no directory is called {name!r}"
        raise UserError(message, hint=did_you_mean(name, names(), hint))
    manifest, texts = read_set(folder)
    return PromptSet(manifest.questioner, manifest.programmer, texts)


def _checked_name(name: str) -> str:
    try:
        load(name)
    except UserError as error:
        if error.where:
            raise
        raise invalid(error.message, error.hint) from None
    return name


PromptSetName = Annotated[str, AfterValidator(_checked_name)]
"""The name, or the directory, of a set without a mistake."""
