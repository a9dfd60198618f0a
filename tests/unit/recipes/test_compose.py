"""Answers as strong teachers write them: the solution is found, and words around it are kept."""

from textwrap import dedent

import pytest

from aiev.languages.python.blocks import python_blocks
from aiev.recipes.aiev_instruct.compose import compose, solution_of

F = "def f(x):\n    return x + 1"
COUNTER = "class Counter:\n    n = 1"
COUNTS = "def f(x):\n    return x + Counter.n"

ANSWERS = {
    "headings": (
        """
        ## Approach

        Add one.

        ## Solution

        ```python
        def f(x):
            return x + 1
        ```

        ### Complexity

        - **Time**: O(1)
        """,
        F,
    ),
    "a list": (
        """
        1. Add one:

           ```python
           def f(x):
               return x + 1
           ```
        """,
        F,
    ),
    "a longer example of use": (
        """
        ```python
        def f(x):
            return x + 1
        ```
        Use it:
        ```python
        for number in range(100):
            print("The number after", number, "is", f(number))
        ```
        """,
        F,
    ),
    "another language": (
        """
        ```haskell
        f x = x + 1
        ```
        ```python
        def f(x):
            return x + 1
        ```
        """,
        F,
    ),
    "a class": (
        """
        ```python
        class Counter:
            n = 1

        def f(x):
            return x + Counter.n
        ```
        """,
        f"{COUNTER}\n{COUNTS}",
    ),
    "a class in a block of its own": (
        """
        First a counter:
        ```python
        class Counter:
            n = 1
        ```
        Then the function:
        ```python
        def f(x):
            return x + Counter.n
        ```
        """,
        f"{COUNTER}\n{COUNTS}",
    ),
    "a class that nothing needs": (
        """
        ```python
        class Counter:
            n = 1
        ```
        ```python
        def f(x):
            return x + 1
        ```
        """,
        F,
    ),
    "pytest's functions": (
        """
        ```python
        def f(x):
            return x + 1

        def test_f():
            assert f(1) == 2
        ```
        """,
        F,
    ),
    "tests in a block of their own": (
        """
        ```python
        def f(x):
            return x + 1
        ```
        ```python
        from solution import f

        def test_that_it_adds_one():
            assert f(1) == 2
        ```
        """,
        F,
    ),
    "unittest": (
        """
        ```python
        def f(x):
            return x + 1

        class TestF(unittest.TestCase):
            def test_f(self):
                self.assertEqual(f(1), 2)

        if __name__ == "__main__":
            unittest.main()
        ```
        """,
        F,
    ),
    "what does not parse": ("```python\ndef f(x:\n    return x\n```", "def f(x:\n    return x"),
    "none": ("Add one.", None),
}
"""An answer to a problem that asks for `f`, and the solution in it."""


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_the_solution_of_an_answer(answer, expected):
    assert solution_of(dedent(answer), "f") == expected


@pytest.mark.parametrize(("answer", "solution"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_keeps_its_words_and_has_one_program(answer, solution):
    said = compose(dedent(answer), "f", "x = 1")
    programs = [each.text.strip() for each in python_blocks(said)]
    assert programs == (["x = 1"] if solution else [])
    for words in ("## Approach", "### Complexity", "Use it:", "First a counter:", "haskell"):
        assert (words in said) == (words in answer)


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n!pip install a\n{F}\n```",
        f"```python\n!pip install a\n```\n\n```python\n{F}\n```",
    ],
)
def test_a_notebook_s_commands_stay_before_the_program(answer):
    assert compose(answer, "f", F) == f"```sh\npip install a\n```\n\n```python\n{F}\n```"
