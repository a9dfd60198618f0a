"""The interpreter that runs main.py in the box: as Python would, and a note on a failed assert."""

import subprocess
import sys

import pytest

from aiev.execution import BOXED


@pytest.fixture
def play(tmp_path):
    """Exit code, stdout and stderr of a program."""

    def run(code: str | bytes):
        data = code if isinstance(code, bytes) else code.encode("utf-8", "surrogatepass")
        (tmp_path / "main.py").write_bytes(data)
        (tmp_path / "interpreter.py").write_text(BOXED, "utf-8")
        done = subprocess.run(
            [sys.executable, "interpreter.py"], cwd=tmp_path, capture_output=True, timeout=30
        )
        err = done.stderr.decode("utf-8", "replace")
        assert str(tmp_path) not in err and "interpreter.py" not in err
        return done.returncode, done.stdout.decode(), err

    return run


def test_a_program_that_passes(play):
    code = "import sys\nassert __name__ == '__main__'\nprint(sys.argv, __file__)"
    assert play(code) == (0, "['main.py'] main.py\n", "")


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('bad')", 1, "bad\n"),
        ("raise SystemExit", 0, ""),
        ("exit(4)", 4, ""),
    ],
)
def test_exit_codes(line, code, err, play):
    assert play(f"import sys\nprint(1)\n{line}\nprint(2)") == (code, "1\n", err)


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("def f(x):\n    return x\nassert f(2) == 3", "f(2) is 2"),
        ("x = [1]\nassert x == [2], 'why'", "x is [1]"),
        ("def t():\n    y = 5\n    assert y < 3\nt()", "y is 5"),
        ("def f(x):\n    return x\nassert (\n    f('a')\n    == 'b'\n)", "f('a') is 'a'"),
        ("assert 'ab' * 300 == ''", "..."),
    ],
)
def test_a_failed_comparison_is_explained(code, note, play):
    status, _, err = play(code)
    assert status == 1 and err.startswith("Traceback (most recent call last):\n")
    assert 'File "main.py", line' in err and "AssertionError" in err
    last = err.rstrip().splitlines()[-1]
    assert last.endswith(note) and len(last) < 300


@pytest.mark.parametrize(
    "code",
    [
        "assert False",
        "assert not 1",
        "assert 1 < 0 < 2",
        "raise AssertionError('mine')",
        "class A:\n    def __repr__(self): 1 / 0\nassert A() == 1",
        "import unittest\nunittest.TestCase().assertEqual(1, 2)",
        "def f():\n    raise AssertionError\nassert f() == 1",
    ],
)
def test_any_other_failed_assert_is_left_as_it_is(code, play):
    status, _, err = play(code)
    assert status == 1 and "AssertionError" in err.rstrip().splitlines()[-1]


def test_a_value_that_cannot_be_computed_again_does_not_end_the_note(play):
    code = "import sys\ndef f():\n    return g.pop()\ng = [1]\nassert f() == 2"
    status, _, err = play(code)
    assert status == 1 and "AssertionError" in err
    code = "import sys\nn = []\ndef f():\n    n.append(1)\n    if len(n) > 1: sys.exit(0)\n"
    status, _, err = play(code + "    return 1\nassert f() == 2")
    assert status == 1, "a failed assert stays a failure, whatever its second evaluation does"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def f(:\n    pass", "SyntaxError"),
        ("  x = 1", "IndentationError"),
        ("if 1:\n\tx = 1\n        y = 2", "TabError"),
        ("return 1", "SyntaxError"),
        ("x = '", "SyntaxError"),
        ("eval('1 +')", "SyntaxError"),
    ],
)
def test_a_syntax_error_is_shown_as_python_does(code, name, play):
    status, _, err = play(code)
    assert status == 1 and f"\n{name}: " in f"\n{err}"
    assert ('File "main.py"' in err) and "ast.py" not in err


def test_other_errors(play):
    status, out, err = play("print('before')\ndef f():\n    return 1 / 0\nf()")
    assert (status, out) == (1, "before\n")
    assert err.splitlines()[0].startswith("Traceback") and err.count("File") == 2
    assert err.endswith("ZeroDivisionError: division by zero\n")
    assert play("raise KeyboardInterrupt")[0] == 1
    assert "RecursionError" in play("def f(): f()\nf()")[2]
    assert play("import sys\nsys.stderr.write('x')\nsys.exit(2)") == (2, "", "x")


@pytest.mark.parametrize(
    "code", [b"x = '\xff'", b"x = '\x00'", "x = '\ud800'", "(" * 5000], ids=ascii
)
def test_hostile_source_ends_with_a_code(code, play):
    status, _, err = play(code)
    assert status in (0, 1) and (status == 0 or "Error" in err)
