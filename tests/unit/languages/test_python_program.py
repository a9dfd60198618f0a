"""Programs taken out of answers: known ones exactly, any text without a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.languages.python.blocks import code_block, program_of

ANY = st.text(st.characters(codec=None), max_size=200)
FENCES = st.lists(
    st.sampled_from(["```", "```python\n", "```\n", "\n```", "\n", "x = 1", "def f():", " ", "`"])
).map("".join)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("", None),
        ("No code.", None),
        ("`x = 1`", None),
        ("```python\nx = 1\n```", "x = 1"),
        ("```py\nx = 1\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("Text.\n```python\nx = 1\n\ny = 2\n```\nMore.", "x = 1\n\ny = 2"),
        ("```python  \n\nx = 1\n\n```", "x = 1"),
        ("```python\nx = 1\n```\nor\n```python\nlonger = 1\n```", "longer = 1"),
        ("```python\nx = 1", "x = 1"),
        # What a program prints is no program, however long.
        ("```python\nx = 1\n```\nprints\n```\nlonger than it\n```", "x = 1"),
        ("```\nlonger than it\n```\nby\n```python3\nx = 1\n```", "x = 1"),
        ("```python\n\n```\n```\nx = 1\n```", "x = 1"),
        ("```python\n\n```", None),
        ("```python\n   \n```", None),
        ("```", None),
        ("```python\nx = '''\n  ```inside\n'''\n```", "x = '''\n  ```inside\n'''"),
        ("```python\r\nx = 1\r\n```", "x = 1"),
        ("```python#main\nx = 1\n```\n```csharp\nvar longer = 1;\n```", "x = 1"),
        (
            "Function:\n```python\ndef f():\n    return 1\n```\nTests:\n```\nassert f() == 1\n```",
            "def f():\n    return 1\n\n\nassert f() == 1",
        ),
        # A fence at the left margin of a docstring, in a list.
        (
            '1. So:\n\n   ```python\n   def f():\n       """\n   ```\n   f()\n   ```\n       """'
            "\n       return 1\n   ```\n",
            'def f():\n    """\n```\nf()\n```\n    """\n    return 1',
        ),
    ],
)
def test_the_block_of_an_answer(answer, code):
    assert code_block(answer) == code


@given(st.one_of(ANY, FENCES))
def test_any_answer_has_a_program_or_none(answer):
    code = program_of(answer)
    assert code is None or (code.text.strip() and code.blocks)


FUNCTION = "def once_a(x):\n    return x + 6"
TESTS = "assert once_a(1) == 7\nassert once_a(2) == 8"
WHOLE = f"{FUNCTION}\n\n\n{TESTS}\nprint('ok')"
DOCSTRING = '    """Add six.\n\n    ```python\n    >>> once_a(1)\n    7\n    ```\n    """'
DOCUMENTED = WHOLE.replace("    return", f"{DOCSTRING}\n    return")
UNITTEST = """import unittest

class TestOnce(unittest.TestCase):
    def test_one(self):
        self.assertEqual(once_a(1), 7)

unittest.main()"""
PROMPT = "\n".join(f">>> once_a({n})\n{n + 6}" for n in range(20))
TRACEBACK = "Traceback (most recent call last):\n" + '  File "main.py", line 9\n' * 40
LEFT_MARGIN = f"'''Use:\n```\nonce_a(1)\n```\n'''\n{WHOLE}"


def block(code: str, fence: str = "```", info: str = "python", indent: str = "") -> str:
    return "\n".join(f"{indent}{line}" for line in f"{fence}{info}\n{code}\n{fence}".split("\n"))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (f"Here it is.\n\n{block(DOCUMENTED)}\n", DOCUMENTED),
        (f"1. Add six:\n\n{block(WHOLE, indent='   ')}\n", WHOLE),
        (f"- Add six:\n\n{block(WHOLE, indent='      ')}\n", WHOLE),
        (block(WHOLE, "````"), WHOLE),
        (block(WHOLE, "~~~"), WHOLE),
        (block(WHOLE, info="python:main.py"), WHOLE),
        (block(WHOLE, info='python title="main.py"'), WHOLE),
        (block(WHOLE, info="{.python}"), WHOLE),
        (block(WHOLE, info="Python"), WHOLE),
        (block(WHOLE, info="main.py"), WHOLE),
        (f"Add six: {block(WHOLE)}\nThat is all.", WHOLE),
        (f"Add six: ```python\n{WHOLE}", WHOLE),
        # A closing fence that is missing, or ends a line of code.
        (f"```python\n{FUNCTION}\n\n```python\n{TESTS}\n```", f"{FUNCTION}\n\n\n{TESTS}"),
        (f"```python\n{WHOLE}```\nThat is all.", WHOLE),
        (f"```python\n{WHOLE}```", WHOLE),
        (f"```python\n{WHOLE}\nx = '```'\n```", f"{WHOLE}\nx = '```'"),
        # By CommonMark the fences at the left margin of the docstring end the block.
        (f"{block(LEFT_MARGIN)}\nThat is all.", LEFT_MARGIN),
        (
            f"{block(LEFT_MARGIN).replace('```python', '```' + chr(10) + 'python', 1)}\nIt.",
            LEFT_MARGIN,
        ),
        # A closing fence with words behind it, or an opening one in its place.
        (f"```python\n{WHOLE}\n``` That is all.", WHOLE),
        (f"```python\n{WHOLE}\n```text\nok\n```", WHOLE),
        (f"```python\n{WHOLE}\n```python", WHOLE),
        # An answer that is a document.
        (f"```markdown\nAdd six:\n\n```python\n{WHOLE}\n```\n```", WHOLE),
        (f"````md\nAdd six:\n\n```python\n{WHOLE}\n```\n````", WHOLE),
        # More info strings, and places where a fence stands.
        (block(WHOLE, info="Python 3"), WHOLE),
        (block(WHOLE, info="python # main.py"), WHOLE),
        (block(WHOLE, info='python filename="a b.py" {1,3}'), WHOLE),
        (block(WHOLE, info="{python echo=FALSE}"), WHOLE),
        (block(WHOLE, info='{.python .numberLines startFrom="1"}'), WHOLE),
        (block(WHOLE, info="jupyter"), WHOLE),
        (f"~~~ `python`\n{WHOLE}\n~~~", WHOLE),
        (f"```python\n{WHOLE}\n`````", WHOLE),
        (f"<details>\n{block(WHOLE)}\n</details>", WHOLE),
        ("\n".join(f"> {line}" for line in block(WHOLE).split("\n")), WHOLE),
        (f"1. a\n   - b\n\n{block(WHOLE, indent='     ')}", WHOLE),
        (f"1. a\n\n{block(WHOLE, indent=chr(9))}", WHOLE),
        (f"**Solution:**{block(WHOLE)}", WHOLE),
        (f"\ufeff{block(WHOLE)}", WHOLE),
        # What was typed at a prompt, or printed.
        (f"{block(WHOLE)}\n\n{block(PROMPT)}", WHOLE),
        (f"{block(PROMPT, info='pycon')}\n\n{block(WHOLE)}\n\n{block('ok', info='text')}", WHOLE),
        (f"{block(WHOLE)}\n\n{block('In [1]: once_a(1)' + chr(10) + 'Out[1]: 7' * 40)}", WHOLE),
        (f"{block(WHOLE)}\nprints\n{block('ok' + chr(10) + '[1, 2]' * 90)}", WHOLE),
        (f"{block(WHOLE)}\nfails:\n{block(TRACEBACK)}", WHOLE),
        (f"{block('for each x in xs: add six' * 20)}\nThat is:\n{block(WHOLE)}", WHOLE),
        # No word for Python, and nothing but Python.
        (block(WHOLE, info="text"), WHOLE),
        (block(WHOLE, info="python2"), WHOLE),
        (block(WHOLE, info="my file.py"), WHOLE),
        (f"{block('pip install a', info='sh')}\n{block(WHOLE, info='code')}", WHOLE),
        (block("Add six to it", info="text"), None),
        (block('{"a": [1, null]}', info="json"), None),
        (block("import a", info="sh"), None),
        # A fence of the other kind at the end.
        (f"```python\n{WHOLE}\n~~~\nThat is all.", WHOLE),
    ],
)
def test_a_program_in_any_kind_of_fence(answer, code):
    """Cases 20 to 23 of public reports."""
    assert code_block(answer) == code


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        # Case 25: the function in one block, its tests in another.
        ([FUNCTION, TESTS], [FUNCTION, TESTS]),
        ([TESTS, FUNCTION], [FUNCTION, TESTS]),
        ([FUNCTION, f"{TESTS}\n{TESTS}"], [FUNCTION, f"{TESTS}\n{TESTS}"]),
        ([FUNCTION, "print(once_a(1))", TESTS], [FUNCTION, TESTS]),
        (["import math", "def f(r):\n    return math.pi", "assert f(0)"],
         ["import math", "def f(r):\n    return math.pi", "assert f(0)"]),
        ([FUNCTION, f"from solution import once_a\n\n{TESTS}"], [FUNCTION, f"\n\n{TESTS}"]),
        ([FUNCTION, f"from .main import (\n    once_a,\n)\n{TESTS}"], [FUNCTION, f"\n\n\n{TESTS}"]),
        ([FUNCTION, f"from solution import *\n\n{TESTS}"], [FUNCTION, f"\n\n{TESTS}"]),
        ([FUNCTION, "import solution\nassert solution.once_a(1) == 7"],
         [FUNCTION, "\nassert once_a(1) == 7"]),
        ([FUNCTION, "import main as m\nä, x = m.once_a(1), m.once_a(2)\nassert x"],
         [FUNCTION, "\nä, x = once_a(1), once_a(2)\nassert x"]),
        ([f"{FUNCTION}\n# {'x' * 40}", "import main\nassert main.once_a(1) == main.SEVEN"],
         [f"{FUNCTION}\n# {'x' * 40}"]),
        ([FUNCTION, "from math import *\nassert once_a(pi)"],
         [FUNCTION, "from math import *\nassert once_a(pi)"]),
        ([FUNCTION, UNITTEST], [FUNCTION, UNITTEST]),
        # The tests belong to the version that was shown last.
        (["def once_a(x):\n    return 6 + x", FUNCTION, TESTS], [FUNCTION, TESTS]),
        # A whole program and another version of it, or an example.
        ([FUNCTION, WHOLE], [WHOLE]),
        ([WHOLE, FUNCTION], [WHOLE]),
        ([WHOLE, "print(once_a(3))"], [WHOLE]),
        ([WHOLE, "assert once_a('a')"], [WHOLE]),
        # A block that does not parse belongs to no other.
        ([FUNCTION, "assert once_a(1) =="], [FUNCTION]),
        ([f"{WHOLE}\nif", "x = 1"], [f"{WHOLE}\nif"]),
    ],
)  # fmt: skip
def test_blocks_that_are_one_program_together(blocks, code):
    """Case 25."""
    answer = "\n\nThen:\n\n".join(map(block, blocks))
    assert code_block(answer) == "\n\n\n".join(code)


@pytest.mark.parametrize("cell", ["!pip install a", "%pip install a", "%%bash\npip install a"])
def test_a_notebook_s_cell_of_commands_belongs_to_the_program(cell):
    code = program_of(f"{block(cell)}\n\nThen:\n\n{block(WHOLE)}")
    assert (code.text, code.shell) == (WHOLE, "pip install a")


def test_commands_of_a_notebook_are_no_python():
    code = program_of(block(f"!pip install a\n%pip install b\nimport a\n{WHOLE}"))
    assert code.shell == "pip install a\npip install b"
    assert code.text == f"\n\nimport a\n{WHOLE}"
    assert program_of(block("x = '''\n!pip\n'''")).shell == ""


@pytest.mark.parametrize(
    ("lines", "shell"),
    [
        ("%matplotlib inline", ""),
        ("%%time", ""),
        ("%load_ext autoreload\n%autoreload 2", ""),
        ("%%capture\n!pip install -q a", "pip install -q a"),
        ("!ls -l\n%cd sub", "ls -l\ncd sub"),
    ],
)
def test_the_magics_of_a_notebook_are_no_python_either(lines, shell):
    code = program_of(block(f"{lines}\n{WHOLE}"))
    assert (code.text.strip("\n"), code.shell) == (WHOLE, shell)
