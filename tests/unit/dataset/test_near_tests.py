"""Near test problems are those of the definition, whatever is done to find them quickly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from aiev.dataset.near_tests import nearest_tests

ALPHABET = "ab \u00e9\U0001f600"
texts = st.text(ALPHABET, min_size=1, max_size=30).map(lambda t: " ".join(t.split()) or "a")


def dialogue(name, problem):
    return {"id": name, "messages": [{"content": problem}], "solution": f"(broken {name}"}


@st.composite
def edited(draw, text):
    letters = list(text)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(letters)))
        letters[place : place + draw(st.integers(0, 1))] = draw(st.text(ALPHABET, max_size=1))
    return " ".join("".join(letters).split()) or "b"


@given(st.data(), st.lists(texts, min_size=1, max_size=5), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_near_problems_are_those_of_the_definition(data, problems, threshold):
    tests = [dialogue(f"long name {n}" * 9, problem) for n, problem in enumerate(problems)]
    one = data.draw(edited(data.draw(st.sampled_from(problems))))
    (found,) = nearest_tests([dialogue("x", one)], tests, threshold)
    best = max(Levenshtein.normalized_similarity(one, problem) for problem in problems)
    if best >= threshold:
        assert found["field"] == "problem" and found["similarity"] == best
    else:
        assert found is None


@pytest.mark.parametrize(("length", "threshold"), [(5, 0.8), (10, 0.9), (20, 0.95), (10, 0.6)])
def test_a_similarity_of_exactly_the_threshold_is_near(length, threshold):
    problem = "a" * length
    one = problem[: round(length * threshold)]
    (found,) = nearest_tests([dialogue("x", one)], [dialogue("t" * 99, problem)], threshold)
    assert found["similarity"] == pytest.approx(threshold)
