"""How varied a round's problems are."""

import pytest

from aiev.recipes.variety import feedback, ideas, shared_ideas, variety

SEED = """def int_to_bytes_little_endian(number):
    result = bytearray()
    while number > 0:
        result.append(number & 255)
        number >>= 8
    return bytes(result)
"""


def test_the_ideas_of_a_snippet():
    assert ideas(SEED) == {"bytes", "little", "endian", "bytearray", "BitAnd", "RShift"}
    assert ideas("def add(a, b):\n    return len(a) + b\n") == frozenset()
    assert ideas("Sort the letters!") == {"sort", "letters"}


@pytest.mark.parametrize(
    ("problem", "solution", "taken"),
    [
        ("Write a number as little endian bytes.", "", ["bytes", "endian", "little"]),
        ("Tell the lowest bits.", "def f(n):\n    return n & 7\n", ["BitAnd"]),
        ("Say whether a number is even.", "def is_even(n):\n    return n % 2 == 0\n", []),
    ],
)
def test_what_a_problem_takes_up_of_its_seed(problem, solution, taken):
    assert shared_ideas(SEED, problem, solution) == taken


def dialogue(problem, solution="", taken=(), of=0, held=0, stopped=""):
    evidence = {"stopped": stopped, "solutions": {"of": of, "alike": 0, "held": held}}
    messages = [{"content": problem}] if problem else []
    return {
        **{"messages": messages, "solution": solution, "seed_ideas": list(taken)},
        "evidence": evidence,
    }


def test_near_duplicates_ideas_and_difficulty_are_counted():
    double = "Write a function `double(x)` that returns twice `x`."
    found = variety(
        [
            dialogue(double, "def double(x):\n    return 2 * x", ["twice"], of=4, held=4),
            dialogue(double.replace("twice", "Twice"), "", of=4, held=1),
            dialogue("Write twice.", "def double(x):\n    return 2 * x", of=2, held=0),
            dialogue("Write something else altogether.", of=4, held=0, stopped="unconfirmed"),
            dialogue("And a last thing.", of=2, held=0, stopped="unsolved-failed"),
            dialogue("Without code.", of=2, held=0, stopped="no-code"),
            dialogue(""),
        ]
    )
    assert found == {
        **{"problems": 6, "near_duplicates": 2, "with_idea": 1},
        "difficulty": {"0-25%": 1, "25-50%": 1, "75-100%": 1, "unconfirmed": 1, "unsolved": 1},
    }


def test_empty_solutions_repeat_nothing():
    found = variety([dialogue("One problem."), dialogue("Quite another thing to do.")])
    assert found["near_duplicates"] == 0


def test_what_came_of_feedback():
    def after(rounds, no_ops=0, stopped=""):
        revisions = {"of": rounds, "no_ops": no_ops}
        return {"evidence": {"stopped": stopped, "rounds": rounds, "revisions": revisions}}

    dialogues = [after(0), after(2), after(1, 1, "unsolved-failed"), after(3, 0, "unsolved-failed")]
    found = feedback([*dialogues, {"id": "recorded, without evidence"}])
    assert found == {"revisions": 7, "no_ops": 1, "repaired": 1}
