"""Prompt sets (`dialogues.prompts`): the texts that the two roles are sent, a directory each.

A set is a manifest, prompts.toml, and the Markdown files that it names, directly beside it. `$name`
marks a value in a template; system texts and few-shot turns are sent as they are. A set is checked
as a whole before anything is asked. Its files are part of the code digest of the jobs that use it.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from aiev.core.errors import UserError
from aiev.core.files import read_text
from aiev.core.hashing import of_json
from aiev.core.settings import Section, checked, did_you_mean, invalid, shown
from aiev.core.templates import MANIFEST

SHIPPED = Path(__file__).with_name("prompts")
PACKAGE = "aiev.recipes.aiev_instruct.prompts"


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
    tests: File | None = Field(None, description="File with the tests, where `solve` shows them.")
    answer: File = Field(description="File with the answer.")


class QuestionerPrompts(Section):
    """`questioner`: writes the problem from a seed, and puts errors into words."""

    system: File | None = Field(None, description="File of the system message; none without it.")
    system_packages: File | None = Field(
        None, description="The same where packages may be installed, if it is another one."
    )
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


class ProgrammerPrompts(Section):
    """`programmer`: solves the problem, writes tests for it, and revises the solution."""

    system: File | None = Field(None, description="File of the system message; none without it.")
    system_packages: File | None = Field(
        None, description="The same where packages may be installed, if it is another one."
    )
    solve: File = Field(description="Asks for the solution.")
    vote: File = Field(description="Asks for an independent solution, which votes on tests.")
    tests: File = Field(description="Asks for tests.")
    revise: File = Field(description="Asks for another solution after an error.")
    tests_form: Form = Field(description=f"Form of the tests. {_FORM}")
    first: Literal["solution", "tests"] = Field(
        description="What is asked for first. If it is the tests, `solve` may show those that were "
        "confirmed, as $tests; this needs an empty sandbox.packages.allow."
    )
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
may use the others; `vary` and `first` add to them."""


@dataclass(frozen=True)
class PromptSet:
    """A set that was checked. texts: by file name, without the newline at the end."""

    questioner: QuestionerPrompts
    programmer: ProgrammerPrompts
    texts: Mapping[str, str]

    def fill(self, file: str, **values: str) -> str:
        """The template in a file, with these values; those that it does not use are ignored."""
        return Template(self.texts[file]).substitute(values)

    def system(self, role: QuestionerPrompts | ProgrammerPrompts, packages: bool) -> str:
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
            yield (
                self.propose(self.texts[example.seed], example.language),
                self.texts[example.answer],
            )

    def solved(self) -> Iterator[tuple[str, str]]:
        """Question and answer of each few-shot turn of the Programmer."""
        for example in self.programmer.examples:
            values = {"problem": self.texts[example.problem], "function": example.function}
            tests = self.texts[example.tests] if example.tests else ""
            question = self.fill(self.programmer.solve, tests=tests, **values)
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
    path = folder / MANIFEST
    manifest = checked(Manifest, _toml(path), str(path))
    files = {key: file for key, file in _files(manifest.model_dump()) if file}
    _check_files(folder, path, files)
    texts = {file: read_text(folder / file).rstrip("\n") for file in files.values()}
    prompts = PromptSet(manifest.questioner, manifest.programmer, texts)
    _check_templates(prompts, folder, path, files)
    return prompts


def _known(name: str) -> str:
    try:
        load(name)
    except UserError as error:
        if error.where:
            raise
        raise invalid(error.message, error.hint) from None
    return name


Known = AfterValidator(_known)
"""Annotation of a string that names a set without a mistake."""


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


def _check_files(folder: Path, manifest: Path, files: Mapping[str, str]) -> None:
    """All files of the manifest are there, and no others: one that is not used is often a mistyped
    name, and an edit of it would seem to change the prompts."""
    # Hidden files are in no digest either.
    there = sorted(path.name for path in folder.iterdir() if path.name[0] != ".")
    there = [name for name in there if name != MANIFEST]
    for key, file in files.items():
        if file not in there:
            hint = did_you_mean(file, there, "write the file, or name another one")
            raise UserError(f"there is no file {file}", where=f"{manifest}: {key}", hint=hint)
    for name in there:
        if name not in files.values():
            hint = "remove it, or name it in the manifest"
            message = f"no key of {MANIFEST} names this file"
            raise UserError(message, where=str(folder / name), hint=hint)


def _check_templates(
    prompts: PromptSet, folder: Path, manifest: Path, files: Mapping[str, str]
) -> None:
    """Each template uses what it needs, and nothing that its turn does not know."""
    varied = tuple(prompts.questioner.vary)
    for name in varied:
        if name in _TURNS["questioner.propose"]:
            where = f"{manifest}: questioner.vary.{name}"
            raise UserError(f"${name} has a value already", where=where, hint="rename the key")
    more = {"questioner.propose": varied, "questioner.propose_text": varied}
    if prompts.programmer.first == "tests":
        more["programmer.solve"] = ("tests",)
    for key, values in _TURNS.items():
        where = f"{folder / files[key]} ({manifest.name}: {key})"
        used = _values(prompts.texts[files[key]], where)
        known = [*values, *more.get(key, ())]
        for name in used:
            if name not in known:
                hint = did_you_mean(name, known, f"known here: {', '.join(known)}")
                raise UserError(f"${name} is no value of this turn", where=where, hint=hint)
        if values[0] not in used:
            hint = f"put ${values[0]} into the text"
            raise UserError(f"${values[0]} is missing", where=where, hint=hint)
    _check_examples(prompts, manifest)


def _check_examples(prompts: PromptSet, manifest: Path) -> None:
    """An example shows tests where, and only where, the template does."""
    shows = "tests" in _values(prompts.texts[prompts.programmer.solve], str(manifest))
    for number, example in enumerate(prompts.programmer.examples):
        where = f"{manifest}: programmer.examples.{number}"
        if shows and not example.tests:
            raise UserError("$tests has no value", where=where, hint="add tests = FILE.md")
        if example.tests and not shows:
            hint = "remove the key, or show $tests in the template of solve"
            raise UserError("its tests are shown nowhere", where=f"{where}.tests", hint=hint)


def _values(text: str, where: str) -> list[str]:
    """Names of the values that a template uses. Raises UserError for a `$` that marks none."""
    if not Template(text).is_valid():
        line = next(
            n for n, part in enumerate(text.split("\n"), 1) if not Template(part).is_valid()
        )
        hint = "write $$ for a dollar sign"
        raise UserError(f"line {line} has a $ that marks no value", where=where, hint=hint)
    return Template(text).get_identifiers()
