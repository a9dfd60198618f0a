"""Fenced code blocks: by CommonMark, and as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.languages.markdown import fenced, language_of, unix


@pytest.mark.parametrize(
    ("answer", "blocks"),
    [
        ("", []),
        ("No block, `x`.", []),
        ("```sh\nls\n```", [("sh", "ls\n")]),
        ("```Bash\nls\n```", [("bash", "ls\n")]),
        ("``` python title=a.py\nx\n```", [("python", "x\n")]),
        ("```\nx\n```", [("", "x\n")]),
        ("```\npython\nx\n```", [("python", "x\n")]),
        ("```\n Bash \nls\n```", [("bash", "ls\n")]),
        ("```python\npython\nx\n```", [("python", "python\nx\n")]),
        ("```\npythonic\nx\n```", [("", "pythonic\nx\n")]),
        ("```\npython\n```", [("", "python\n")]),
        ("```py\nx\n```\n```\npython\njava\n```", [("py", "x\n"), ("", "python\njava\n")]),
        ("```sh\n```", [("sh", "")]),
        ("```sh\r\nls\r\n```", [("sh", "ls\n")]),
        ("a\n```sh\nls\n```\nb\n\n```python\nx\n```\nc", [("sh", "ls\n"), ("python", "x\n")]),
        ("```python\nx = 1", [("python", "x = 1")]),
        ("```sh\necho '```'\n```", [("sh", "echo '```'\n")]),
        # Longer fences and tildes, and fences within a block.
        ("````python\nx\n````", [("python", "x\n")]),
        ("~~~python\nx\n~~~", [("python", "x\n")]),
        ("````py\n```\n````", [("py", "```\n")]),
        ("```py\nx\n~~~\n```", [("py", "x\n~~~\n")]),
        ("```py\nx = '''\n  ```a\n'''\n```", [("py", "x = '''\n  ```a\n'''\n")]),
        ("```py\n'''\n    ```py\n    ```\n'''\n```", [("py", "'''\n    ```py\n    ```\n'''\n")]),
        # In lists and quotations.
        ("1. Do\n   ```sh\n   ls\n   ```", [("sh", "ls\n")]),
        ("1.  ```py\n    x\n    ```\n2.  ```sh\n    y\n    ```", [("py", "x\n"), ("sh", "y\n")]),
        ("- a\n\n  ```py\n  if x:\n      y\n  ```", [("py", "if x:\n    y\n")]),
        ("> ```py\n> a\n> b\n\nc", [("py", "a\nb\n")]),
        ("- ```\n  aaa\n\nbbb", [("", "aaa\n\n")]),
        # Indented by more than CommonMark allows.
        ("Add:\n    ```py\n    x\n\n    y\n    ```\nDone", [("py", "x\n\ny\n")]),
        ("- a\n\n        ```py\n        x\n        ```\n", [("py", "x\n")]),
        ("\t```py\n\tx\n\t```", [("py", "x\n")]),
        # Code that is less indented than its fence.
        ("1. a\n   ```py\ndef f():\n    x\n   ```\nb", [("py", "def f():\n    x\n")]),
        # Behind words.
        ("Add six: ```python\nx\n```\nThat is all.", [("python", "x\n")]),
        ("Here: ```\nx\n```", [("", "x\n")]),
        ("1. Add six: ```py\n   x\n   ```", [("py", "x\n")]),
        ("a ```x``` b\n```py\n1\n```", [("py", "1\n")]),
        ("a ```x``` b", []),
        ("Use ``` to open a block.\nx", []),
        ("Cut: ```python", [("python", "")]),
        ("```py\nx = '\0'\n```", [("py", "x = '\0'\n")]),
    ],
)
def test_the_blocks_of_an_answer(answer, blocks):
    found = fenced(answer)
    assert [(block.language, block.text) for block in found] == blocks
    assert all(unix(answer)[b.start : b.end].startswith(("```", "~~~")) for b in found)


def test_positions_cut_a_block_out_of_its_text():
    answer = "Words.\r\n\r\n   ```py\r\n   x\r\n   ```\r\nMore: ```sh\nls\n```"
    text = unix(answer)
    first, second = fenced(answer)
    rest = text[: first.start] + text[first.end : second.start] + text[second.end :]
    assert rest == "Words.\n\n   \nMore: "


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        (" Python ", "python"),
        ("python3", "python3"),
        ("python3.11", "python3"),
        ("{.python}", "python"),
        ("{python}", "python"),
        ("{ .python .numberLines }", "python"),
        ("{#id .python}", "python"),
        ("{code-cell} python", "python"),
        ('python title="x"', "python"),
        ("python {.numberLines}", "python"),
        ("python:main.py", "python"),
        ("python,ignore", "python"),
        ("language-python", "python"),
        (".python", "python"),
        ("main.py", "py"),
        ("src/main.py", "py"),
        ("12:15:src/main.py", "py"),
        ("language=python", "python"),
        ("lang='py'", "py"),
        ("#!python", "python"),
        ("code:python", "python"),
        ("tool_code", "tool_code"),
        # Attributes before the language, or in its place.
        ('title="main.py" python', "python"),
        ("linenos=table hl_lines='2 3' python", "python"),
        ('title="main.py"', "py"),
        ("linenos=true file=src/main.py", "py"),
        ('title="Add six"', ""),
        ("main.py#L1-L9", "py"),
        ("c#", "c#"),
        ("C++", "c++"),
        ("objective-c", "objective-c"),
        ("", ""),
        ("{}", ""),
        ("!", ""),
    ],
)
def test_the_language_of_an_info_string(info, language):
    assert language_of(info) == language


PIECES = ["```", "~~~", "````", "py", "\n", " ", "    ", "> ", "- ", "1. ", "x", "{.a}", "\t", "\0"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_has_blocks_in_order_and_apart(text):
    source, place = unix(text), 0
    for block in fenced(text):
        assert place <= block.start < block.end <= len(source)
        place = block.end
        assert len(block.text) <= block.end - block.start
