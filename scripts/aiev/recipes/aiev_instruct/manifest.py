"""The manifest of a prompt set, prompts.toml: its keys, and the checks of the files that it names.

docs/extending.md describes the keys. A set is checked as a whole before anything is asked.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from aiev.core.errors import UserError
from aiev.core.files import read_text
from aiev.core.settings import Section, checked, did_you_mean, invalid, shown
from aiev.core.templates import MANIFEST


def _beside(name: str) -> str:
    if not name.endswith(".md") or "/" in name or name[0] == ".":
        message = f"{shown(name)} is not the name of a Markdown file"
        raise invalid(message, f"name a file beside {MANIFEST} that ends in .md")
    return name


File = Annotated[str, AfterValidator(_beside)]
Form = Literal["grammar", "free"]

_FORM = "grammar: in the recipe's own form, which a server that knows grammars enforces; or free."


class ProposedExample(Section):
    """`questioner.examples[]`: a seed and the problem that is written from it."""

    seed: File = Field(description="File with the seed.")
    language: str = Field("python", description="Language of the seed.")
    answer: File = Field(description="File with the problem.")


class SolvedExample(Section):
    """`programmer.examples[]`: a problem and its solution."""

    problem: File = Field(description="File with the problem.")
    function: str = Field(pattern=r"^[A-Za-z_]\w*$", description="The function that it asks for.")
    answer: File = Field(description="File with the answer.")


class Role(Section):
    """What both roles have."""

    system: File | None = Field(None, description="File of the system message; none without it.")
    system_packages: File | None = Field(
        None, description="The same where packages may be installed, if it is another one."
    )


class QuestionerPrompts(Role):
    """`questioner`: writes the problem from a seed, and puts errors into words."""

    propose: File = Field(description="Asks for a problem from a snippet of code.")
    propose_text: File = Field(description="Asks for a problem from a text.")
    describe: File = Field(description="Asks for an error in words.")
    problem_form: Form = Field(description=f"Form of a problem. {_FORM}")
    examples: list[ProposedExample] = Field([], description="Few-shot turns before each seed.")
    vary: dict[
        Annotated[str, Field(pattern=r"^[a-z_]+$")], Annotated[list[str], Field(min_length=1)]
    ] = Field(
        {},
        description="Further values for `propose` and `propose_text`, by name: one of each list, "
        "chosen by a hash of the seed.",
    )


class ProgrammerPrompts(Role):
    """`programmer`: solves the problem, writes tests for it, and revises the solution."""

    solve: File = Field(description="Asks for the solution.")
    vote: File = Field(description="Asks for an independent solution, which votes on tests.")
    tests: File = Field(description="Asks for tests.")
    revise: File = Field(description="Asks for another solution after an error.")
    tests_form: Form = Field(description=f"Form of the tests. {_FORM}")
    examples: list[SolvedExample] = Field(
        [], description="Few-shot turns before `solve`; votes and tests are asked without."
    )


class Manifest(Section):
    """prompts.toml."""

    questioner: QuestionerPrompts = Field(description="The Questioner's prompts.")
    programmer: ProgrammerPrompts = Field(description="The Programmer's prompts.")


_TURNS = {
    "questioner.propose": ("seed", "language"),
    "questioner.propose_text": ("seed",),
    "questioner.describe": ("error", "code"),
    "programmer.solve": ("problem", "function"),
    "programmer.vote": ("problem", "function"),
    "programmer.tests": ("problem", "function"),
    "programmer.revise": ("error", "function", "description"),
}
"""Values of each turn. A template has to use the first one, without which nobody could answer, and
may use the others; those that propose may also use what `vary` names."""


def read_set(folder: Path) -> tuple[Manifest, dict[str, str]]:
    """The manifest in a folder, and the texts of its files by name, without the newline at the end.

    Raises UserError for the first mistake in the set, with file and key.
    """
    path = folder / MANIFEST
    manifest = checked(Manifest, _toml(path), str(path))
    files = dict(_files(manifest.model_dump()))
    _check_files(folder, files)
    texts = {file: read_text(folder / file).rstrip("\n") for file in files.values()}
    varied = tuple(manifest.questioner.vary)
    for name in varied:
        if name in _TURNS["questioner.propose"]:
            where = f"{path}: questioner.vary.{name}"
            raise UserError(f"${name} has a value already", where=where, hint="rename the key")
    for key, values in _TURNS.items():
        more = varied if key.startswith("questioner.propose") else ()
        where = f"{folder / files[key]} ({MANIFEST}: {key})"
        _check_template(texts[files[key]], [*values, *more], where)
    return manifest, texts


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"not TOML: {error}", where=str(path), hint="correct the file") from error


def _files(part: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The files that a manifest names, by their keys."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        for name, each in part.items():
            if name != "vary":
                yield from _files(each, f"{key}.{name}" if key else str(name))
    elif isinstance(part, str) and part.endswith(".md"):
        yield key, part


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    """All files of the manifest are there, and no others: one that is not used is often a mistyped
    name, and an edit of it would seem to change the prompts."""
    # Hidden files are in no digest either.
    there = sorted(path.name for path in folder.iterdir() if path.name[0] != ".")
    there = [name for name in there if name != MANIFEST]
    for key, file in files.items():
        if file not in there:
            where = f"{folder / MANIFEST}: {key}"
            hint = did_you_mean(file, there, "write the file, or name another one")
            raise UserError(f"there is no file {file}", where=where, hint=hint)
    for name in there:
        if name not in files.values():
            hint = "remove it, or name it in the manifest"
            message = f"no key of {MANIFEST} names this file"
            raise UserError(message, where=str(folder / name), hint=hint)


def _check_template(text: str, known: Sequence[str], where: str) -> None:
    """A template uses the first of the known values, and no value that is unknown."""
    for number, line in enumerate(text.split("\n"), 1):
        if not Template(line).is_valid():
            message = f"line {number} has a $ that marks no value"
            raise UserError(message, where=where, hint="write $$ for a dollar sign")
    used = Template(text).get_identifiers()
    for name in used:
        if name not in known:
            hint = did_you_mean(name, list(known), f"known here: {', '.join(known)}")
            raise UserError(f"${name} is no value of this turn", where=where, hint=hint)
    if known[0] not in used:
        raise UserError(
            f"${known[0]} is missing", where=where, hint=f"put ${known[0]} into the text"
        )
