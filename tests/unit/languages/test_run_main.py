"""The interpreter that runs main.py in the box: as Python would, and a note on a failed assert."""

import signal
import subprocess
import sys

import pytest

from aiev.languages.python.language import RUN_MAIN


@pytest.fixture
def play(tmp_path):
    """Exit code, stdout and stderr of a program."""

    def run(code: str | bytes):
        data = code if isinstance(code, bytes) else code.encode("utf-8", "surrogatepass")
        (tmp_path / "main.py").write_bytes(data)
        (tmp_path / "interpreter.py").write_text(RUN_MAIN, "utf-8")
        done = subprocess.run(
            [sys.executable, "interpreter.py"], cwd=tmp_path, capture_output=True, timeout=30
        )
        err = done.stderr.decode("utf-8", "replace")
        assert str(tmp_path) not in err and "interpreter.py" not in err
        return done.returncode, done.stdout.decode(), err

    return run


def test_a_program_that_passes(play):
    code = "import os, sys\nassert __name__ == '__main__'\nprint(sys.argv, os.path.isabs(__file__))"
    assert play(code) == (0, "['main.py'] True\n", "")


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


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("it = iter([2, 1])\nassert next(it) == 1", "next(it) is 2"),
        ("import queue\nq = queue.Queue()\nq.put(2)\nassert q.get() == 1", "q.get() is 2"),
        ("g = [1]\nassert g.pop() == 2", "g.pop() is 1"),
        ("f = abs\nassert f(-1) == 1; assert f(-2) == 3", "f(-2) is 2"),
        ("def f(n):\n    assert abs(n) > 0\n    f(n - 1)\nf(3)", "abs(n) is 0"),
        ("assert (n := 2) == 3", "(n := 2) is 2"),
        ("n = 1\ntry:\n    pass\nfinally:\n    assert n + 1 in ()", "n + 1 is 2"),
        ("match 1:\n    case n:\n        assert n is None", "n is 1"),
        ("class A:\n  x = 2\n  def f(self):\n    assert self.x == 1\nA().f()", "self.x is 2"),
        ("import asyncio\nasync def one(): return 1\nasync def main():\n"
         "    assert await one() == 2\nasyncio.run(main())", "await one() is 1"),
    ],
)  # fmt: skip
def test_the_value_is_that_of_the_comparison(code, note, play):
    status, _, err = play(code)
    assert status == 1 and err.rstrip().splitlines()[-1] == note


@pytest.mark.parametrize(
    "code",
    [
        "print([name for name in dir() if '@' in name])",
        "def f():\n    x = 1\n    assert x + 0 == 1\n    print(locals())\nf()",
        "assert abs(1) == 1\nprint([name for name in globals() if '@' in name])",
        "import weakref\nclass A: pass\na = A()\nr = weakref.ref(a)\n"
        "assert r() is a\ndel a\nassert r() is None\nprint(r())",
        "import enum\nclass E(enum.Enum):\n    A = 1\n    assert A + 0 == 1\nprint(list(E))",
        "if 1:\n    assert abs(1) < 2, 'no'\nelse:\n    assert 0\nprint(1)",
        f"print(len([{'+'.join(['1'] * 1500)}]))\nassert abs(1) == 1",
        "def f(n):\n    assert n - 0 >= 0\n    return n and f(n - 1)\nprint(f(950))",
    ],
)
def test_keeping_the_value_changes_nothing_else(code, play):
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert plain.returncode == 0 and play(code) == (0, plain.stdout, plain.stderr)


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    return x\nassert (\n    f('a')\n    == 'b'\n), f('why')",
        "assert abs(1) < 'a'",
        "x = [1]\nassert x[0][1] == 2",
        "assert abs(1 / 0) == 2",
        "assert abs(1) == 2, 1 / 0",
        "é = 1; assert abs(é) == 'ł'",
        "assert 1 is (2,)",
    ],
)
def test_a_traceback_is_python_s_own(code, play, tmp_path):
    """With the lines and the carets; but for the note and the file's name."""
    status, _, err = play(code)
    command = [sys.executable, "main.py"]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    expected = plain.stderr.replace(f"{tmp_path}/", "")
    assert status == plain.returncode == 1 and err.startswith(expected)
    assert len(err.splitlines()) <= len(expected.splitlines()) + 1


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
    assert play("raise KeyboardInterrupt")[0] == -signal.SIGINT
    assert "RecursionError" in play("def f(): f()\nf()")[2]
    assert play("import sys\nsys.stderr.write('x')\nsys.exit(2)") == (2, "", "x")


@pytest.mark.parametrize(
    "code", [b"x = '\xff'", b"x = '\x00'", "x = '\ud800'", "(" * 5000], ids=ascii
)
def test_hostile_source_ends_with_a_code(code, play):
    status, _, err = play(code)
    assert status in (0, 1) and (status == 0 or "Error" in err)
