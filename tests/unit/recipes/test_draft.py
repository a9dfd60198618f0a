"""Wrong examples of a problem's draft are corrected by what independent solutions return."""

from collections import Counter

from aiev.recipes.aiev_instruct.draft import corrected
from aiev.recipes.verification.contract import read_contract

PROBLEM = """Write a function `last(words)` that returns the last of `words`, or "" of none.
`last(["a", "b"])` returns `"b"`
`last([])` returns `" "`
`last(["c"])` returns `"d"`"""


def correct(*seen, problem=PROBLEM, agreeing=2, corrections=3):
    contract = read_contract(problem)
    counts = [(keep, Counter(results)) for keep, results in seen]
    return corrected(problem, contract, counts, agreeing, corrections)


def test_an_example_gets_the_result_on_which_enough_solutions_agree():
    new = correct((4, {"'b'": 4}), (0, {"''": 3, "None": 1}), (0, {"'c'": 4}))
    assert new.problem.split("\n") == [
        'Write a function `last(words)` that returns the last of `words`, or "" of none.',
        "`last(['a', 'b'])` returns `'b'`",
        "`last([])` returns `''`",
        "`last(['c'])` returns `'c'`",
    ]
    assert new.changed == 2
    assert new.contract == read_contract(new.problem) and len(new.contract.examples) == 3


def test_with_an_example_on_which_they_do_not_agree_there_is_no_problem():
    """Without it the words would still ask for what nobody can tell."""
    assert correct((2, {"'b'": 2}), (1, {"''": 2, "' '": 2}), (0, {"'c'": 4})) is None
    assert correct((4, {"'b'": 4}), (0, {}), (0, {"'c'": 2})) is None


def test_an_example_that_enough_solutions_keep_stays_whatever_the_others_return():
    new = correct((2, {"'x'": 3}), (0, {"''": 4}), (4, {"'d'": 4}))
    assert "`last(['a', 'b'])` returns `'b'`" in new.problem and new.changed == 1


def test_none_is_no_result_to_correct_by():
    """Solutions that only change their argument all return it."""
    assert correct((4, {"'b'": 4}), (0, {"None": 4}), (0, {"'c'": 4})) is None
    stated = PROBLEM.replace('`" "`', "`None`")
    new = correct((4, {"'b'": 4}), (4, {"None": 4}), (0, {"'c'": 4}), problem=stated)
    assert "`last([])` returns `None`" in new.problem and new.changed == 1


def test_a_result_that_does_not_read_back_as_it_was_written_is_no_example():
    assert correct((0, {"'`'": 4}), (0, {"'``'": 4}), (0, {"'c'": 4})) is None
