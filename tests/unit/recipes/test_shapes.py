"""Tests of any shape are read as single asserts, and reading them ends soon."""

import time
from textwrap import dedent

import pytest

from aiev.recipes.aiev_instruct.compose import asserts_of
from aiev.recipes.aiev_instruct.shapes import MAX_STATEMENTS, asserts_in

ONE = ["assert f(1) == 2"]
TWO = ["assert f(1) == 2", "assert f(3) == 4"]

SHAPES = {
    "plain": ("assert f(1) == 2, 'why'\nassert f(3) == 4", TWO),
    "twice": ("assert f(1) == 2\nassert f(1)   == 2", ONE),
    "of another function": ("assert g(1) == 2\nassert f(1) == 2", ONE),
    "functions": ("def test_a():\n    assert f(1) == 2\ndef test_b():\n    assert f(3) == 4", TWO),
    "names": ("x, = [1],\nargument = 1\nresult = f(argument)\nassert result == 2", ONE),
    "a loop": ("for x, y in [(1, 2), (3, 4)]:\n    assert f(x) == y", TWO),
    "a named table": ("CASES = [(1, 2), [3, 4]]\nfor x, y in CASES:\n    assert f(x) == y", TWO),
    "zip": ("for x, y in zip([1, 3], [2, 4]):\n    assert f(x) == y", TWO),
    "nested targets": (
        "for (a, b), y in [((1, 2), 3)]:\n    assert f(a, b) == y",
        ["assert f(1, 2) == 3"],
    ),
    "loops in loops": (
        "for x in (1, 2):\n    for y in (3, 4):\n        assert f(x, y)",
        [f"assert f({x}, {y})" for x in (1, 2) for y in (3, 4)],
    ),
    "unittest": (
        """
        class TestF(unittest.TestCase):
            def test_f(self):
                self.assertEqual(f(1), 2)
                self.assertNotEqual(f(1), 3, "why")
                self.assertTrue(f(3) > 3)
                self.assertFalse(f(4))
                self.assertIsNone(f(5))
                self.assertIn(f(6), [7])
                self.assertAlmostEqual(f(7), 0.5)
                self.assertAlmostEqual(f(7), 0.5, places=2, msg="why")
                self.assertAlmostEqual(f(7), 0.5, delta=0.1)
                self.assertGreaterEqual(f(8), 8)
                self.assertCountEqual(f(9), [9])
                self.assertIsInstance(f(9), list)
                self.assertEqual(f(9))
                self.assertRegex(f(9), "9")
        """,
        [
            *ONE,
            "assert f(1) != 3",
            "assert f(3) > 3",
            "assert not f(4)",
            "assert f(5) is None",
            "assert f(6) in [7]",
            "assert round(f(7) - 0.5, 7) == 0",
            "assert round(f(7) - 0.5, 2) == 0",
            "assert abs(f(7) - 0.5) <= 0.1",
            "assert f(8) >= 8",
            "assert sorted(f(9)) == sorted([9])",
            "assert isinstance(f(9), list)",
        ],
    ),
    "subtests": (
        """
        class TestF(unittest.TestCase):
            def test_f(self):
                for x, y in [(1, 2), (3, 4)]:
                    with self.subTest(x=x):
                        self.assertEqual(f(x), y)
        """,
        TWO,
    ),
    "parametrised": (
        """
        @pytest.mark.parametrize("x, y", [(1, 2), pytest.param(3, 4)])
        def test_f(x, y):
            assert f(x) == y
        """,
        TWO,
    ),
    "parametrised by one": (
        """
        @pytest.mark.parametrize(("x",), [(1,)])
        @pytest.mark.parametrize("y", [2])
        def test_f(x, y):
            assert f(x) == y
        """,
        ONE,
    ),
    "a table of the class": (
        """
        class TestF(unittest.TestCase):
            CASES = {1: 2, 3: 4}

            def test_f(self):
                for x, y in self.CASES.items():
                    self.assertEqual(f(x), y)
        """,
        TWO,
    ),
    "numbered rows": ("for n, (x, y) in enumerate([(1, 2)]):\n    assert f(x) == y, n", ONE),
    "rows that are dictionaries": (
        "for case in [{'x': 1, 'y': 2}, {'x': 3, 'y': 4}]:\n    assert f(case['x']) == case['y']",
        TWO,
    ),
    "rows of arguments": (
        "for args, y in [((1, 2), 3)]:\n    assert f(*args, **{'z': 4}) == y",
        ["assert f(1, 2, z=4) == 3"],
    ),
    "an item that is not there": (
        "x = [1]\nassert f(x[1], {}['a'])",
        ["assert f([1][1], {}['a'])"],
    ),
    "approx": (
        """
        assert f(1) == pytest.approx(0.5)
        assert f(2) == approx(-20, rel=0.1)
        assert f(3) == pytest.approx(0.5, abs=0.01)
        assert f(4) == pytest.approx([0.5])
        """,
        [
            "assert abs(f(1) - 0.5) <= 5e-07",
            "assert abs(f(2) - -20) <= 2.0",
            "assert abs(f(3) - 0.5) <= 0.01",
            "assert f(4) == pytest.approx([0.5])",
        ],
    ),
    "isclose": (
        """
        assert math.isclose(f(1), 0.5, rel_tol=0.1)
        assert isclose(0.0, f(2), abs_tol=0.1)
        self.assertTrue(math.isclose(f(3), 4))
        assert math.isclose(f(4), f(5))
        """,
        [
            "assert abs(f(1) - 0.5) <= 0.05",
            "assert abs(f(2) - 0.0) <= 0.1",
            "assert abs(f(3) - 4) <= 4e-09",
            "assert math.isclose(f(4), f(5))",
        ],
    ),
    "exceptions": ("with pytest.raises(ValueError):\n    f(0)\nassert f(1) == 2", ONE),
    "a main": ('if __name__ == "__main__":\n    assert f(1) == 2', ONE),
    "bound inside": (
        "x = 1\nassert all(f(x) for x in [2, 3])",
        ["assert all((f(x) for x in [2, 3]))"],
    ),
    "not Python as a whole": ("assert f(1) == 2\nassert f(\n`assert f(3) == 4`", TWO),
    "an argument hides a name": ("x = 1\ndef test(x):\n    assert f(x)", ["assert f(x)"]),
    "an unknown table": ("for x in range(3):\n    assert f(x)", ["assert f(x)"]),
    "a changed value": ("x = [1]\nx.append(2)\nassert f(x)", ["assert f(x)"]),
    "a changed item": ("x = [1]\nx[0] = 2\nassert f(x)", ["assert f(x)"]),
    "a changed number": ("x = 1\nx += 1\nassert f(x)", ["assert f(x)"]),
    "a loop's name is another": ("x = 1\nfor x in many():\n    assert f(x)", ["assert f(x)"]),
}
"""A text, and the asserts that are read. A name that is left in one has no value that is known: no
solution can confirm it."""


@pytest.mark.parametrize(("text", "expected"), SHAPES.values(), ids=SHAPES)
def test_shapes(text, expected):
    assert asserts_of(f"```python\n{dedent(text)}\n```", "f", 99) == expected


def test_no_more_are_read_than_asked_for():
    lines = "\n".join(f"assert f({number})" for number in range(20))
    assert asserts_of(f"```python\n{lines}\n```", "f", 8) == [f"assert f({n})" for n in range(8)]


LOOPS = "".join(f"{' ' * n}for x{n} in {list(range(50))}:\n" for n in range(8))
NAMES = "x = [1]\n" + "x = [x, x]\n" * 60
ROWS = "".join(f"@mark.parametrize('x{n}', {list(range(50))})\n" for n in range(8))


@pytest.mark.parametrize(
    "text",
    [
        f"{LOOPS}        assert f(x0, x7)",
        f"{LOOPS}        print(x0)",
        f"{NAMES}assert f(x)",
        f"{ROWS}def test(x0):\n    assert f(x0)",
        f"assert f({'-' * 5000}1)",
        f"x = {'[' * 80}{']' * 80}\nassert f(x)",
        "assert f(" + "g(" * 400 + ")" * 400 + ")",
    ],
    ids=["loops", "loops of nothing", "names", "rows", "deep", "nested", "calls"],
)
def test_hostile_tests_end(text):
    start = time.process_time()
    assert len(asserts_in(text)) <= MAX_STATEMENTS
    assert len(asserts_of(f"```python\n{text}\n```", "f", 8)) <= 8
    assert time.process_time() - start < 2
