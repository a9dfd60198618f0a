"""The most that a dialogue can ask, which is what a plan reckons with."""

from aiev.recipes import RECIPES
from aiev.recipes.aiev_instruct.settings import DialogueSettings

SIZES = {
    "problem_tokens": 1,
    "solution_tokens": 100,
    "tests_tokens": 10_000,
    "description_tokens": 1_000_000,
}


def most_asked(**keys):
    settings = DialogueSettings.model_validate({"sampling": SIZES, **keys})
    return RECIPES.get("aiev-instruct").most_asked(settings.model_dump())


def test_each_turn_is_sampled_as_often_as_allowed():
    # 2 problems, 2 solutions, tests; in each of 3 rounds 2 descriptions and 2 revisions.
    asked = most_asked(answers=2, feedback_rounds=3, solutions=0)
    assert asked == (2 + 2 + 1 + 6 + 6, 2 + 200 + 10_000 + 6_000_000 + 600)


def test_independent_solutions_are_asked_again_where_a_draft_may_be_corrected():
    few, _ = most_asked(answers=1, feedback_rounds=0, solutions=4, corrections=0)
    more, _ = most_asked(answers=1, feedback_rounds=0, solutions=4, corrections=3)
    assert (few, more) == (1 + 1 + 1 + 4, 1 + 1 + 1 + 8)
