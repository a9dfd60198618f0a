"""What calls of pip leave installed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.languages.python.pip_arguments import read_calls, requirements_after
from aiev.languages.python.pip_shim import expanded


def after(installed, *commands):
    return list(requirements_after(installed, [command.split() for command in commands]))


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("install numpy pandas==2.2", ["numpy", "pandas==2.2"]),
        ("install -U --user --quiet --no-cache-dir a", ["a"]),
        ("install --target lib --timeout=5 --progress-bar off a", ["a"]),
        ("--disable-pip-version-check install a b", ["a", "b"]),
        ("install a -q b", ["a", "b"]),
        ("install a[b]>=1,<2", ["a[b]>=1,<2"]),
        ("install", []),
        ("list", []),
        ("download a", []),
        ("", []),
        # What names another source is kept, to be refused by name.
        ("install -e .", ["--editable ."]),
        ("install --index-url http://there/simple a", ["--index-url http://there/simple", "a"]),
        ("install -i http://there/simple a", ["--index-url http://there/simple", "a"]),
        ("install ./a.whl git+https://there/a", ["./a.whl", "git+https://there/a"]),
        ("install -t", []),
        ("install -C x=y --config-settings=x=y --use-feature fast-deps -d there a", ["a"]),
        ("install --dry-run a", []),
        ("install --upgrade pip setuptools wheel", []),
        ("install setuptools wheel", ["setuptools", "wheel"]),
    ],
)
def test_what_one_call_asks_for(command, asked):
    assert after([], command) == asked


@pytest.mark.parametrize(
    ("installed", "commands", "left"),
    [
        # Case 18: another pin in a later turn replaces the earlier one.
        (["numpy==2.0.0"], ["install numpy==1.26.4"], ["numpy==1.26.4"]),
        (["Num_Py==2.0.0", "b"], ["install num-py<2"], ["b", "num-py<2"]),
        (["a>=1"], ["install a>=2"], ["a>=2"]),
        (["a"], ["install a==1", "install a==2"], ["a==2"]),
        # What is installed and fulfils the new wish stays.
        (["a==2.0"], ["install a", "install a>=1"], ["a==2.0"]),
        (["a==2.0"], ["install -U a"], ["a"]),
        (["a==2.0"], ["install a[extra]"], ["a[extra]"]),
        (["a==2.0"], ["install -qU a"], ["a"]),
        (["a==2.0"], ["install -I a"], ["a"]),
        (["a"], ["install a"], ["a"]),
        # In one call, two pins are pip's own conflict.
        ([], ["install a==1 a==2"], ["a==1", "a==2"]),
        (["a", "b"], ["uninstall -y a"], ["b"]),
        (["a"], ["uninstall -y A", "install a==1"], ["a==1"]),
        ([], ["uninstall -y a"], []),
        (["a==1", "b"], ["uninstall -y a b", "install b"], ["b"]),
        (["a==1"], ["install --force-reinstall a"], ["a"]),
        (["a==1"], ["install a==2 --no-deps"], ["a==2"]),
        (["a==1.0"], ["install a~=1.0", "install a!=1.0"], ["a!=1.0"]),
        (["a[x]==1"], ["install a==2"], ["a==2"]),
        (["zope.interface==1"], ["install Zope-Interface==2"], ["Zope-Interface==2"]),
        # The tools themselves are there already.
        (["a"], ["install --upgrade pip", "install pip==23.0 uv"], ["a"]),
    ],
)
def test_later_calls_replace_and_remove(installed, commands, left):
    assert after(installed, *commands) == left


@given(st.lists(st.lists(st.text(max_size=8), max_size=5), max_size=4))
def test_any_arguments_are_read(calls):
    assert all(isinstance(text, str) for text in requirements_after([], calls))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_anything_that_a_program_writes_there_is_read(content):
    lines = json.dumps(["install", "a"]).encode() + b"\n" + content
    assert read_calls(lines)[0] == ["install", "a"]


def test_requirements_files_are_read_as_pip_reads_them(tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (tmp_path / "first.txt").write_text(
        "\ufeff# What we need\n\na==1 --hash=sha256:00\nb \\\n  >=2  # or later\n"
        "-r more/second.txt\n"
    )
    (folder / "second.txt").write_text("-i http://there/simple\nc\n--requirement third.txt\n")
    (folder / "third.txt").write_text("d; python_version > '3'\n-r third.txt\n")
    found = list(expanded(["install", "-r", str(tmp_path / "first.txt"), "e"]))
    wanted = ["install", "a==1", "b >=2", "-i", "http://there/simple", "c"]
    assert found[:6] == wanted and found[-1] == "e"
    assert set(found[6:-1]) == {"d; python_version > '3'"}
