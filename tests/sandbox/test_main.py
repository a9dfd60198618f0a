"""The program in the box is `__main__`, for all that look for it there."""

import pytest

from aiev.languages.python.language import RUN_MAIN

CASES = {
    "a test case that fails": (
        """
        import unittest
        class Test(unittest.TestCase):
            def test(self):
                self.assertEqual(1 + 1, 3)
        unittest.main()
        """,
        ("failed", "", 'File "main.py", line 5, in test'),
    ),
    "a test case that passes": (
        """
        import unittest
        class Test(unittest.TestCase):
            def test(self):
                self.assertEqual(1 + 1, 2)
        unittest.main()
        """,
        ("passed", "", "Ran 1 test in"),
    ),
    "an example in a docstring": (
        '''
        import doctest
        def double(x):
            """
            >>> double(1)
            3
            """
            return 2 * x
        print(doctest.testmod().failed, "Got:")
        ''',
        ("passed", 'main.py", line 5, in __main__.double', ""),  # of the absolute path, as outside
    ),
    "a pool of processes": (
        """
        import multiprocessing
        def square(n):
            return n * n
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as pool:
                print(pool.map(square, range(4)))
        """,
        ("passed", "[0, 1, 4, 9]\n", ""),
    ),
    "processes that are started anew": (
        """
        import multiprocessing
        def square(n):
            return n * n
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print(pool.map(square, range(4)))
        """,
        ("passed", "[0, 1, 4, 9]\n", ""),
    ),
    "a pickled object": (
        """
        import pickle
        class Point:
            x = 1
        def f(): return 2
        one, g = pickle.loads(pickle.dumps((Point(), f)))
        print(one.x, g())
        """,
        ("passed", "1 2\n", ""),
    ),
    "hints that are text": (
        """
        from __future__ import annotations
        import dataclasses, typing
        @dataclasses.dataclass
        class Node:
            next: Node | None = None
        print(typing.get_type_hints(Node)["next"] == Node | None)
        """,
        ("passed", "True\n", ""),
    ),
    "its own source": (
        """
        import inspect, __main__
        class Point:
            x = 1
        print(inspect.getsource(Point), __main__.Point is Point, __builtins__.len("abc"))
        """,
        ("passed", "class Point:\n    x = 1\n True 3\n", ""),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_found(play, name):
    program, (outcome, out, err) = CASES[name]
    result = play(program, {"interpreter.py": RUN_MAIN}, ("python", "interpreter.py"))
    assert (result.outcome, out in result.stdout, err in result.stderr) == (outcome, True, True), (
        result
    )
    assert err or not result.stderr
