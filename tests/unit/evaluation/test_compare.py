"""EvalPlus's rules of equality, on values that came through the sandbox as text."""

import hashlib
import json
import math
import tracemalloc
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.core.errors import UserError
from aiev.evaluation.evalplus.compare import first_wrong
from aiev.evaluation.evalplus.inside.values import PIECE, Named, dump, encode, load

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
HASHABLE = st.recursive(SCALARS, lambda own: st.lists(own, max_size=3).map(tuple), max_leaves=4)
VALUES = st.recursive(
    HASHABLE | st.binary() | st.sets(HASHABLE) | st.frozensets(HASHABLE),
    lambda own: st.lists(own) | st.lists(own).map(tuple) | st.dictionaries(HASHABLE, own),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES)
def test_values_survive_the_way_out_of_the_sandbox(value):
    found = load(dump(value))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 1])
@pytest.mark.parametrize("item", [7, (1, "é"), 10**5000], ids=["7", "tuple", "long"])
def test_a_line_that_is_made_in_pieces_is_the_same_line(kind, length, item):
    value = kind([item] * length)
    line = json.dumps(encode(value, long_integers=item == 10**5000))
    assert dump(value) == line
    assert dump(value, len(line)) == line
    digest = hashlib.sha256(line.encode()).hexdigest()
    assert dump(value, len(line) - 1) == f"#{digest}"


def test_the_digest_of_a_long_value_takes_no_room():
    """Mbpp/255 returns 1.5 million tuples of 77 words, as text 1 GB."""
    value = [("red",) * 77] * 60_000
    tracemalloc.start()
    try:
        dump(value, 1 << 16)
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


def test_a_very_long_integer_survives():
    assert load(dump([10**5000, (1, -(10**5000))])) == [10**5000, (1, -(10**5000))]


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, 2), (1, 2)),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (Fraction(1, 2), Fraction(1, 2)),
        (Decimal("0.5"), Fraction(1, 2)),
        ({"a": 1}.keys(), {"a"}),
    ],
)
def test_subclasses_keep_their_value_and_the_name_of_their_type(value, plain):
    found = load(dump(value))
    assert isinstance(found, Named) and found.value == plain
    assert found.name.rpartition(".")[2] == type(value).__qualname__


@pytest.mark.parametrize("value", [object(), deque([1]), numpy.zeros(2), iter([1]), range(2)])
def test_what_cannot_leave_is_equal_to_nothing(value):
    assert not right(value, value) and not right(value, [1])


def right(own, wanted, tolerance=0, entry_point="f", given=(), before=()):
    lines = [dump(each) for each in (*before, own)]
    expected = [dump(each) for each in (*before, wanted)]
    inputs = [dump(list(given))] * len(lines)
    return first_wrong(entry_point, inputs, lines, expected, tolerance, None) is None


@pytest.mark.parametrize(
    ("own", "wanted", "same"),
    [
        (1, True, True),
        (2.0, 2, True),
        ([1, 2], (1, 2), False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({1, 2}, frozenset({1, 2}), True),
        (0.1 + 0.2, 0.3, True),  # a float is compared with a tolerance
        ([0.1 + 0.2], [0.3], True),
        ([0.1 + 0.2], (0.3,), False),  # but not one of another type
        ([0.1 + 0.2, 1], [0.3, 1], False),  # nor a list of both kinds
        ({"a": 0.1 + 0.2}, {"a": 0.3}, False),
        ([0.3], [0.3, 0.3], False),
        (numpy.float64(0.3), 0.3, True),
        (numpy.float64(0.1 + 0.2), 0.3, False),
        (math.nan, math.nan, False),
        ("0.3", 0.3, False),
        (None, 0.0, False),
    ],
)
def test_equality_is_evalplus_s(own, wanted, same):
    assert right(own, wanted) is same


def test_a_tolerance_of_the_task_holds_for_integers_too():
    assert right(10, 11, tolerance=2) and not right(10, 14, tolerance=2)
    assert not right([10, 1], [11], tolerance=2)


def test_after_a_float_integers_are_compared_with_the_tolerance():
    assert not right(10**9, 10**9 + 1)
    assert right(10**9, 10**9 + 1, before=[0.5])


def test_tasks_with_more_than_one_answer():
    assert right(False, True, entry_point="are_equivalent", given=[36, 57])
    assert right(0, 7, entry_point="sum_div") and not right(1, 7, entry_point="sum_div")
    assert right(35, 40, entry_point="surface_Area", given=[3, 4])
    assert right(6, 9, entry_point="digit_distance_nums", given=[23, 56])
    assert not right(7, 9, entry_point="digit_distance_nums", given=[23, 56])


def test_the_first_wrong_value_is_named_also_where_later_ones_are_missing():
    expected = [dump(n) for n in range(4)]
    assert first_wrong("f", expected, ["0", "5"], expected, 0, None) == 1
    assert first_wrong("f", expected, ["0", "1"], expected, 0, None) is None


def test_long_values_are_compared_by_digest_and_whole_where_the_digests_differ():
    asked = []

    def whole(number):
        asked.append(number)
        return "[1.0]", "[1]"

    assert first_wrong("f", ["", ""], ["#a", "#b"], ["#a", "#c"], 0, whole) is None
    assert asked == [1]
    assert first_wrong("f", [""], ["#a"], ["[2]"], 0, lambda _: ("[1]", "[2]")) == 0


def test_a_sandbox_that_does_not_work_is_no_wrong_value():
    def whole(_):
        raise UserError("no space left on the device")

    with pytest.raises(UserError, match="no space left"):
        first_wrong("f", [""], ["#a"], ["#b"], 0, whole)


def test_a_long_value_of_far_too_many_items_is_wrong_without_being_read():
    """`[[[]]] * 500_000` would take 150 MB."""
    line, right = dump([[[]]] * 500_000), dump([*range(20_000)])
    tracemalloc.start()
    try:
        assert first_wrong("f", [""], ["#a"], ["#b"], 0, lambda _: (line, right)) == 0
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_long_value_of_numpy_s_numbers_is_right():
    line, right = dump([numpy.int64(n) for n in range(9)]), dump([*range(9)])
    assert first_wrong("f", [""], ["#a"], ["#b"], 0, lambda _: (line, right)) is None


def test_a_digest_of_what_is_too_long_is_wrong():
    assert first_wrong("f", [""], ["#a"], ["#b"], 0, lambda _: ("#", "[1]")) == 0
    assert first_wrong("f", [""], ["#a"], ["#b"], 0, lambda _: ("#b", "#b")) == 0


def test_each_value_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(
        "aiev.evaluation.evalplus.compare.load", lambda line: read.append(line) or load(line)
    )
    values = [dump(n) for n in range(100)]
    others = [dump(float(n)) for n in range(100)]
    assert first_wrong("f", values, others, values, 0, None) is None
    assert len(read) <= 3 * len(values)
