"""A student that goes on from the previous one is not examined on what that one was trained on."""

from aiev.rounds.seen import without_seen
from aiev.rounds.splits import Split

CODE = "def add(x, y):\n    return x + y\n"


def dialogue(name, problem, code=CODE):
    return {"id": name, "messages": [{"content": problem}], "solution": code}


def split(*test, train=()):
    counts = {"dialogues": 9, "train": len(train), "test": len(test)}
    return Split(list(train), list(test), counts)


def test_a_test_problem_that_repeats_an_earlier_training_dialogue_is_trained_on():
    known = dialogue("1-b", "Write add(x, y), which adds two numbers.", "def f():\n    pass\n")
    new = dialogue("1-c", "Reverse a string.", "def back(text):\n    return text[::-1]\n")
    earlier = [dialogue("0-a", "Write add(x, y), which adds two number.")]
    other = dialogue("1-z", "Else.")
    made = without_seen(split(known, new, train=[other]), earlier, 0.9)
    assert made.test == [new] and made.train == [known, other]
    assert made.report == {"dialogues": 9, "train": 2, "test": 1, "seen_by_student": 1}


def test_nothing_moves_without_a_repetition():
    before = split(dialogue("1-b", "One thing."))
    assert without_seen(before, [], 0.9) is before
    far = dialogue("0-a", "Quite another thing to do.", "print(input().split(',')[0])")
    assert without_seen(before, [far], 0.9) is before
