"""Canonical JSON: one text for equal values."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiev.core.hashing import canonical_json, of_json

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
def test_canonical_json_keeps_the_value(value):
    assert json.loads(canonical_json(value)) == value


@given(st.integers(min_value=-(2**53), max_value=2**53))
def test_a_whole_number_has_one_text(number):
    assert canonical_json({"x": [number]}) == canonical_json({"x": [float(number)]})
    assert canonical_json((number,)) == canonical_json([number])


@given(NUMBERS, NUMBERS)
def test_numbers_have_the_same_text_exactly_when_they_are_equal(one, other):
    assert (canonical_json(one) == canonical_json(other)) == (one == other)


def test_booleans_are_no_numbers():
    assert of_json(True) != of_json(1) and of_json(False) != of_json(0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError):
        canonical_json([value])
