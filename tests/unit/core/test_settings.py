"""Sections of the config: strict types, one meaning of a number, errors that name the wrong key."""

import math
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field, field_validator

from aiev.core.chosen import Chosen
from aiev.core.errors import UserError
from aiev.core.registry import Registry
from aiev.core.settings import Section, checked, invalid

TOOL = """
from pydantic import Field
from aiev.core.settings import Section

class Tool:
    class Config(Section):
        size: int = Field(1, ge=1, description="Size of the tool.")
"""
TOOLS = Registry("tool", "aiev.core", "Tool")


class Part(Section):
    rate: float = Field(0.5, gt=0, description="Steps in a second.")
    count: int = Field(1, ge=1, description="Number of parts.")
    limit: int | None = Field(None, description="Upper bound; null for none.")
    path: str = Field(description="Where it lies.")
    names: list[str] = Field([], description="Names of parts.")
    files: str | list[str] | None = Field(None, description="One file, or several.")
    tool: Annotated[dict[str, Any], Chosen(TOOLS)] | None = Field(
        None, description="What makes it."
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path.startswith("/"):
            raise invalid("an absolute path", hint="name a path below this directory")
        return path


class Whole(Section):
    part: Part = Field(Part(path="here"), description="The part.")
    parts: dict[str, Part] = Field({}, description="More parts, by name.")
    rows: list[Part] = Field([], description="Rows of parts.")


def part(**values: Any) -> Part:
    return checked(Part, {"path": "here", **values})


def mistake(value: Any, model: type[Section] = Whole) -> UserError:
    with pytest.raises(UserError) as caught:
        checked(model, value)
    return caught.value


@pytest.mark.parametrize("text", ["1", "1.0", "1e0", "10e-1", "+1.0e+0"])
def test_a_number_means_the_same_however_it_is_written(text):
    read = part(**yaml.safe_load(f"{{rate: {text}, count: {text}, limit: {text}}}"))
    assert read == part(rate=1, count=1, limit=1)
    assert [type(value) for value in (read.rate, read.count, read.limit)] == [float, int, int]


def test_a_float_in_the_notation_that_yaml_1_1_reads_as_a_string():
    assert yaml.safe_load("5e-5") == "5e-5", "the reason for this test"
    assert part(rate="5e-5").rate == 5e-5


@pytest.mark.parametrize("value", [True, "1", "x", math.nan, math.inf, "1e999", None, [1]])
def test_what_is_no_number_is_refused(value):
    for name in ("rate", "count"):
        error = mistake({"path": "x", name: value}, Part)
        assert error.where == f"config: {name}"
        assert error.hint == f"the key's meaning: {Part.model_fields[name].description}"


def test_an_integer_has_no_fraction():
    assert "2.5 should be a valid integer" in mistake({"path": "x", "count": 2.5}, Part).message


@pytest.mark.parametrize(
    ("value", "where", "message", "hint"),
    [
        ({"prat": 1}, "prat", "unknown key", "did you mean 'part'?"),
        ({"zzz": 1}, "zzz", "unknown key", "known keys: part, parts, rows"),
        ({"part": {"path": "x", "rats": 1}}, "part.rats", "unknown key", "did you mean 'rate'?"),
        ({"part": {"pth": "x"}}, "part.pth", "unknown key", "did you mean 'path'?"),
        ({"part": {}}, "part", "required key 'path' is missing",
         "the key's meaning: Where it lies."),
        ({"part": "x"}, "part", "'x' should be a mapping of keys",
         "the key's meaning: The part."),
        ({"part": None}, "part", "None should be a mapping of keys",
         "the key's meaning: The part."),
        ({"parts": {"a": {"path": 1}}}, "parts.a.path", "1 should be a valid string",
         "the key's meaning: Where it lies."),
        ({"rows": [{"path": "x"}, {"path": "x", "count": 0}]}, "rows.1.count",
         "0 should be greater than or equal to 1", "the key's meaning: Number of parts."),
        ({"part": {"path": "x", "names": [1]}}, "part.names.0", "1 should be a valid string",
         "the key's meaning: Names of parts."),
        ({"part": {"path": "x", "files": 5}}, "part.files", "5 should be a valid string",
         "the key's meaning: One file, or several."),
        ({"rows": [{"path": "x"}] * 10 + [{"path": 1}, 5]}, "rows.10.path",
         "1 should be a valid string", "the key's meaning: Where it lies."),
        ({"part": {"path": "/x"}}, "part.path", "an absolute path",
         "name a path below this directory"),
    ],
)  # fmt: skip
def test_the_first_wrong_key_is_named_and_explained(value, where, message, hint):
    error = mistake(value)
    assert (error.where, error.message, error.hint) == (f"config: {where}", message, hint)


def test_errors_are_reported_in_the_order_of_their_places():
    error = mistake({"rows": [{"path": 1}], "part": {"path": "x", "count": 0, "rate": 0}})
    assert error.where == "config: part.count"


def test_rows_are_ordered_by_number():
    good, bad = {"path": "x"}, {"path": 1}
    assert mistake({"rows": [good, good, bad, *[good] * 7, bad]}).where == "config: rows.2.path"


def test_a_long_value_is_cut():
    assert len(mistake({"part": "x" * 1000}).message) < 200


def test_a_chosen_class_checks_the_keys_of_its_section(tmp_path):
    path = tmp_path / "hammer.py"
    path.write_text(TOOL)
    tool = {"kind": str(path)}
    assert part(tool=tool).tool == {**tool, "size": 1}
    error = mistake({"part": {"path": "x", "tool": {**tool, "sise": 2}}})
    assert error.where == "config: part.tool.sise" and error.hint == "did you mean 'size'?"
    error = mistake({"part": {"path": "x", "tool": {**tool, "size": 0}}})
    assert (
        error.where == "config: part.tool.size"
        and error.hint == "the key's meaning: Size of the tool."
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("class Tool: pass", "the class Tool has no class Config"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        ("x = 1", "defines no class Tool"),
    ],
)
def test_a_file_without_what_its_section_needs(text, told, tmp_path):
    path = tmp_path / "unfinished.py"
    path.write_text(text, "utf-8")
    error = mistake({"part": {"path": "x", "tool": {"kind": str(path)}}})
    assert told in error.message and str(path) in error.message
    assert "docs/extending.md" in error.hint


def test_a_file_of_a_choice_that_is_missing_is_named():
    error = mistake({"part": {"path": "x", "tool": {"kind": "gone.py"}}})
    assert "gone.py" in error.message and error.hint.startswith("correct the path, or use one of ")


@pytest.mark.parametrize("tool", [{}, {"kind": 5}, {"kind": "no-such"}, {"kind": "gone.py"}, "x"])
def test_an_unknown_choice_names_the_known_ones(tool):
    error = mistake({"part": {"path": "x", "tool": tool}})
    assert error.where.startswith("config: part.tool") and error.hint
