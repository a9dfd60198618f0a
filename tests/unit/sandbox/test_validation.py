"""Requests are data: whatever they hold, a box runs it as it stands, or it is refused at once."""

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.sandbox.api import Limits, Request, open_sandbox
from aiev.sandbox.validation import MAX_STRING, relative, validate

GOOD = Request({"main.py": "print(1)"}, ("python", "main.py"))


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.mark.parametrize(
    "change",
    [
        {"command": ()},
        {"command": ("",)},
        {"command": "python main.py"},
        {"command": ("python", "a\0--bind\0/\0/host")},
        {"command": ("python", "\ud800")},
        {"command": ("python", "a" * (MAX_STRING + 1))},
        {"command": ("python", *["a" * MAX_STRING] * 12)},
        {"environment": {"": "x"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"A\0--bind\0/": "x"}},
        {"environment": {"A": "x\0--bind\0/\0/host"}},
        {"environment": {"A": "\udfff"}},
        {"environment": {"A": 1}},
        {"environment": {"LD_PRELOAD": "/data/evil.so"}},
        {"environment": {"LD_AUDIT": "/data/evil.so"}},
        {"environment": {"LD_LIBRARY_PATH": "/data"}},
        {"environment": {"PYTHONHOME": "/data"}},
        {"environment": {"PYTHONPLATLIBDIR": "data"}},
        {"environment": {"PYTHONNOUSERSITE": "", "PYTHONUSERBASE": "/data"}},
        {"environment": {"PYTHONUSERBASE": "/data"}},
        {"environment": {"PYTHONPYCACHEPREFIX": "/data"}},
        {"environment": {"GCONV_PATH": "/data"}},
        {"environment": {"LOCPATH": "/data"}},
        {"environment": {"PYTHONHASHSEED": "random"}},
        {"environment": {"AIEV_BOX": "3,4"}},
        {"files": {"/etc/passwd": ""}},
        {"files": {"../a": ""}},
        {"files": {"": ""}},
        {"files": {".": ""}},
        {"files": {"a\0b": ""}},
        {"files": {"\ud800": ""}},
        {"files": {"a" * 256: ""}},
        {"files": {"/".join(["a" * 200] * 30): ""}},
        {"files": {"a": "", "./a": ""}},
        {"files": {"a": "", "a/b": ""}},
        {"collect": ("../a",)},
        {"collect": ("a\0b",)},
        {"mounts": {"/": "/usr"}},
        {"mounts": {"data": "/usr"}},
        {"mounts": {"/opt/box": "/usr"}},
        {"mounts": {"/proc/1": "/usr"}},
        {"mounts": {"/opt/python/lib": "/usr"}},
        {"mounts": {"/opt/python/bin/python": "/usr/bin/true"}},
        {"mounts": {"//opt/box": "/usr"}},
        {"mounts": {"/etc": "/usr"}},
        {"mounts": {"/etc/ld.so.preload": "/usr/bin/env"}},
        {"mounts": {"/opt": "/usr"}},
        {"mounts": {"/usr": "/opt"}},
        {"mounts": {"/usr/lib": "/opt"}},
        {"mounts": {"/lib64": "/opt"}},
        {"mounts": {"/dev/null": "/usr"}},
        {"mounts": {"/box/data": "/usr"}},
        {"mounts": {"/data/../..": "/usr"}},
        {"mounts": {"/data\0--bind": "/usr"}},
        {"mounts": {"/data": "/nowhere/at/all"}},
        {"hash_seed": -1},
        {"hash_seed": 1 << 32},
        {"hash_seed": 1.0},
    ],
    ids=repr,
)
def test_what_is_no_request_is_refused_before_anything_starts(change, sandbox):
    with pytest.raises(UserError):
        sandbox.run(replace(GOOD, **change))


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, 1 << 64, True, "10", None])
def test_a_limit_is_finite_and_positive(name, value, sandbox):
    with pytest.raises(UserError, match="sandbox cannot take") as caught:
        sandbox.run(replace(GOOD, limits=Limits(**{name: value})))
    assert caught.value.where == f"the request's limits.{name}"


def test_a_program_with_half_a_surrogate_pair_is_the_program_s_fault(sandbox):
    result = sandbox.run(replace(GOOD, files={"main.py": "print('\ud800')"}))
    assert result.outcome == "failed" and "SyntaxError" in result.stderr


ANY = st.text(st.characters(codec=None), max_size=12)
WORDS = st.sampled_from(
    ["--bind", "--ro-bind", "/", "-", "--", "\0", "=", "a", " ", "..", "--args"]
)
TEXT = st.one_of(ANY, st.lists(WORDS, max_size=4).map("".join))
PROBE = """
import json, os, sys
with open("out", "wb") as file:
    seen = [sys.argv[1:], dict(os.environ), sorted(os.listdir("/"))]
    file.write(json.dumps(seen).encode("utf-8", "surrogateescape"))
"""


@given(
    arguments=st.lists(TEXT, max_size=3),
    environment=st.dictionaries(TEXT, TEXT, max_size=2),
    files=st.dictionaries(TEXT, TEXT, max_size=2),
)
def test_any_request_is_taken_as_data_or_refused(arguments, environment, files):
    request = Request(files, ("python", "probe.py", *arguments), environment=environment)
    texts = [*arguments, *environment, *environment.values(), *files]
    harmful = any("\0" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in texts)
    harmful = harmful or any(not name or "=" in name for name in environment)
    try:
        found = validate(request, from_root=False)
    except UserError:
        return
    assert not harmful
    assert {relative(name) for name in files} == set(found)


@pytest.mark.parametrize("value", ["--bind", "--bind / /host", "-", "--", "a=b", "", "ł"])
def test_a_value_that_looks_like_an_option_reaches_the_program(value, sandbox):
    request = Request(
        {"probe.py": PROBE},
        ("python", "probe.py", value),
        environment={"SEEN": value},
        collect=("out",),
    )
    seen = json.loads(sandbox.run(request).files["out"])
    assert seen[0] == [value] and seen[1]["SEEN"] == value and "host" not in seen[2]
