"""A program parted into solution and tests: known ones exactly, no statement lost."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.recipes.verification.separate import separate

ANY = st.text(st.characters(codec=None), max_size=200)


KNOWN = '''import math
from os import path


@staticmethod
def helper(x):
    """Help."""
    return x + 1


LIMIT = 3


class Box:
    def get(self):
        return 1


def area(r):
    return math.pi * r


assert area(0) == 0
assert area(helper(0)) > 3


def test_area():
    assert area(2) > 6


test_area()
print("passed")
'''


def test_a_program_taken_apart():
    program = separate(KNOWN)
    assert program.entry_point == "area"
    assert program.solution.startswith("import math\nfrom os import path")
    assert "@staticmethod\ndef helper" in program.solution and "LIMIT = 3" in program.solution
    assert "def area" in program.solution and "assert" not in program.solution
    assert "def test_area" in program.tests and program.tests.endswith("print('passed')")
    again = separate(f"{program.solution}\n\n{program.tests}")
    assert again == program
    assert program.imports == ("import math", "from os import path")


@pytest.mark.parametrize(
    ("code", "entry"),
    [
        ("", ""),
        ("assert 1", ""),
        ("def f(): pass", ""),
        ("def f(): pass\nassert len('a') == 1", ""),
        ("def f(): pass\nassert f() is None", "f"),
        ("def f(): pass\nassert f() == f() == f()", "f"),
        ("def f(): pass\ndef g(): pass\nassert f() == g()", "g"),
        ("def f(): pass\ndef g(): pass\nassert f() == g()\nassert f()", "f"),
        ("def f(): pass\nfor i in 'ab':\n    assert f()", "f"),
        ("assert f()\ndef f(): pass\nassert f()", "f"),
        ("class A: pass\nassert A()\nassert A()", "A"),
        ("async def f(): pass\nassert f()", "f"),
        ("import unittest\ndef f(): pass\nclass TestF(unittest.TestCase):\n def test(s):\n"
         "  assert f()\nunittest.main()", "f"),
        ("def f(): pass; x = 1\nassert f(); assert f()", "f"),
    ],
)  # fmt: skip
def test_the_entry_point(code, entry):
    assert separate(code).entry_point == entry


def test_two_statements_on_a_line_are_not_lost():
    program = separate("x = 1; y = 2\ndef f(): return y\nassert f() == 2; print(x)")
    names: dict = {}
    exec(program.solution, names)
    assert names["x"] == 1 and names["y"] == 2
    assert program.tests.count("assert f() == 2") == 1 and program.tests.count("print(x)") == 1


NAMES = st.sampled_from(["f", "g", "test_f", "Box"])
STATEMENTS = st.one_of(
    st.builds("def {0}(x=1):\n    return x".format, NAMES),
    st.builds("class {0}:\n    y = 1".format, NAMES),
    st.builds("assert {0}() == 1".format, NAMES),
    st.builds("@deco\ndef {0}(): pass".format, NAMES),
    st.sampled_from(["import os", "z = 2", "print(1)", "a = 1; b = 2", "if z:\n    z = 3"]),
)


@given(st.lists(STATEMENTS, max_size=8))
def test_no_statement_is_lost_or_doubled(statements):
    code = "\n".join(statements)
    program = separate(code)
    parts = ast.parse(f"{program.solution}\n{program.tests}").body
    assert sorted(map(ast.unparse, parts)) == sorted(map(ast.unparse, ast.parse(code).body))


@given(ANY)
def test_any_text_is_a_program_or_a_syntax_error(text):
    try:
        program = separate(text)
    except SyntaxError:
        return
    parts = ast.parse(f"{program.solution}\n{program.tests}").body
    assert sorted(map(ast.unparse, parts)) == sorted(map(ast.unparse, ast.parse(text).body))
