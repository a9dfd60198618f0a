"""Fenced blocks found, and shell commands parted into what installs and what runs."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.languages.markdown import fenced, unix
from aiev.languages.pip_requests import split


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("", []),
        ("No block, `x`.", []),
        ("```sh\nls\n```", [("sh", "ls\n")]),
        ("```Bash\nls\n```", [("bash", "ls\n")]),
        ("``` python title=a.py\nx\n```", [("python", "x\n")]),
        ("```\nx\n```", [("", "x\n")]),
        ("```sh\n```", [("sh", "")]),
        ("```sh\r\nls\r\n```", [("sh", "ls\n")]),
        ("a\n```sh\nls\n```\nb\n\n```python\nx\n```\nc", [("sh", "ls\n"), ("python", "x\n")]),
        ("1. Do\n   ```sh\n   ls\n   ```", [("sh", "   ls\n")]),
        ("```python\nx = 1", [("python", "x = 1")]),
        ("```sh\necho '```'\n```", [("sh", "echo '```'\n")]),
    ],
)
def test_the_blocks_of_an_answer(answer, blocks):
    found = fenced(answer)
    assert [(block.language, block.text) for block in found] == blocks
    assert all(unix(answer)[b.start : b.end].lstrip(" ").startswith("```") for b in found)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("pip install numpy", ["numpy"]),
        ("pip install numpy pandas==2.2", ["numpy", "pandas==2.2"]),
        ("pip3 install 'attrs>=23,<24'", ["attrs>=23,<24"]),
        ("pip3.11 install numpy>=1.20", ["numpy>=1.20"]),
        ("python -m pip install a[b]", ["a[b]"]),
        ("python3.11 -m pip install -q a", ["a"]),
        ("/usr/bin/python3 -m pip install a", ["a"]),
        ("!pip install a", ["a"]),
        ("%pip install a", ["a"]),
        ("! pip install a", ["a"]),
        ("uv pip install a", ["a"]),
        ("$ pip install a\nCollecting a\nSuccessfully installed a-1", ["a"]),
        ("$ pip install \\\n>   a \\\n>   b\nCollecting a", ["a", "b"]),
        ("sudo -H pip install a", ["a"]),
        ("PIP_NO_CACHE_DIR=1 pip install a", ["a"]),
        ("pip install -U --user --quiet --no-cache-dir a", ["a"]),
        ("pip install --target lib --timeout=5 --progress-bar off a", ["a"]),
        ("pip --disable-pip-version-check install a", ["a"]),
        ("pip install a > log 2>&1", ["a"]),
        ("pip install a >/dev/null", ["a"]),
        ("pip install a | tail -n 1", ["a"]),
        ("pip install a  # it's needed", ["a"]),
        ("# First:\n\npip install a\npip install b;", ["a", "b"]),
        ("pip install a && pip install b || pip install c", ["a", "b", "c"]),
        ("pip install", []),
        ("pip install --upgrade", []),
    ],
)
def test_a_block_that_only_installs(text, asked):
    assert split(text) == (asked, "")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("pip install -r requirements.txt", ["--requirement requirements.txt"]),
        ("pip install --requirement=r.txt", ["--requirement r.txt"]),
        ("pip install -rr.txt", ["--requirement r.txt"]),
        ("pip install -e .", ["--editable ."]),
        ("pip install --index-url http://there/simple a", ["--index-url http://there/simple", "a"]),
        ("pip install ./a.whl git+https://there/a", ["./a.whl", "git+https://there/a"]),
        ("pip install 'a @ https://there/a.whl'", ["a @ https://there/a.whl"]),
        ("pip install numpy >= 1.20", ["numpy", ">=", "1.20"]),
    ],
)
def test_what_names_another_source_is_kept_to_be_refused(text, kept):
    assert split(text) == (kept, "")


@pytest.mark.parametrize(
    ("text", "asked", "rest"),
    [
        ("pip install a && python x.py", ["a"], ": && python x.py"),
        ("mkdir d; pip install a; cd d", ["a"], "mkdir d; : ; cd d"),
        ("pip install a || true", ["a"], ": || true"),
        ("echo $X > f\npip install a", ["a"], "echo $X > f\n:"),
        ("if true; then\n  pip install a\nfi", ["a"], "if true; then\n  :\nfi"),
        ("$ pip install a\nCollecting a\n$ echo hi\nhi", ["a"], ":\necho hi"),
        ("echo 'pip install a'", [], "echo 'pip install a'"),
        ('echo "x; pip install a"', [], 'echo "x; pip install a"'),
        ("echo x # pip install a; pip install b", [], "echo x # pip install a; pip install b"),
        (
            "cat > f <<'E'\npip install a\nE\npip install b",
            ["b"],
            "cat > f <<'E'\npip install a\nE\n:",
        ),
        ("pip list", [], "pip list"),
        ("pip uninstall install", [], "pip uninstall install"),
        ("pipx install a", [], "pipx install a"),
        ("echo 'unfinished\npip install a", ["a"], "echo 'unfinished\n:"),
    ],
)
def test_other_commands_stay(text, asked, rest):
    assert split(text) == (asked, rest)


WORDS = st.lists(
    st.sampled_from(
        [
            "pip install ",
            "a",
            " && ",
            "; ",
            "\n",
            "'",
            '"',
            "\\",
            "#",
            "$ ",
            "<<E",
            "E",
            "| ",
            "-r ",
        ]
    )
).map("".join)


@given(st.one_of(WORDS, st.text(st.characters(codec=None), max_size=200)))
def test_any_text_is_split(text):
    asked, rest = split(text)
    assert all(asked)
    if not any(part in text for part in ("pip", "$ ", "% ", "\\")):
        assert asked == [] and rest in ("", text.strip("\n"))


@given(st.lists(st.sampled_from(["pip install a", "true", "echo 'x;y'", 'echo "&&" # it'])))
def test_what_is_left_is_sound_shell(commands):
    _, rest = split(" && ".join(commands[:2]) + "\n" + "\n".join(commands[2:]))
    done = subprocess.run(["bash", "-c", f"set -e\n{rest}"], capture_output=True)
    assert done.returncode == 0 and b"pip" not in done.stderr
