"""Whether a returned value is right, by EvalPlus's rules (evalplus 0.3.1, `unsafe_execute`).

Values come as lines from the sandbox (`inside/values.py`) and are compared here: a solution has no
part in it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from aiev.evaluation.evalplus.inside.values import Named, load

RELATIVE, ABSOLUTE = 1e-7, 1e-6
"""EvalPlus's tolerances for floats, the latter where the task gives none."""
MORE_ITEMS, FEW_ITEMS = 20, 1000
"""How many times as many items as the right one a long value may have: each takes up to 70 bytes of
memory for a character of its line, and a number of NumPy's or a fraction several."""


def first_wrong(
    entry_point: str,
    inputs: Sequence[str],
    lines: Sequence[str],
    expected: Sequence[str],
    tolerance: float,
    whole: Callable[[int], tuple[str, str]],
) -> int | None:
    """Number of the first returned value that is wrong; None when all are right.

    lines may be fewer than expected: then those that are there are compared.
    whole: for values of which the lines hold digests that differ, by number: the returned and the
    expected line in full length, or still a digest of what is too long. What it raises is raised.
    """
    floats, looked_at = False, 0
    for number, (line, right) in enumerate(zip(lines, expected, strict=False)):
        # Equal text is an equal value, but for NaN, and for what the text does not tell.
        if line == right and "NaN" not in line and '"o"' not in line:
            continue
        if line[:1] == "#" or right[:1] == "#":
            # Not in the `try`: a sandbox that does not work is no wrong value.
            line, right = whole(number)
            if line[:1] == "#" or _items(line) > MORE_ITEMS * _items(right) + FEW_ITEMS:
                return number
        # Once EvalPlus has seen a float, it allows the tolerance for all later values.
        while not (floats or tolerance) and looked_at < number:
            floats, looked_at = _is_float_line(expected[looked_at]), looked_at + 1
        try:
            own, wanted = load(line), load(right)
            allowed = tolerance or ABSOLUTE * (floats or is_floats(_value(wanted)))
            if not right_value(entry_point, inputs[number], own, wanted, allowed):
                return number
        except Exception:
            # What EvalPlus cannot compare (lists of different lengths, a dictionary of floats)
            # raises there, and is wrong.
            return number
    return None


def right_value(entry_point: str, given: str, own: Any, wanted: Any, tolerance: float) -> bool:
    """Whether one value, as `load` gives it, is right. Raises where EvalPlus's comparison does."""
    value, right = _value(own), _value(wanted)
    if _is_equal(entry_point, given, value, right, tolerance):
        return True
    if not tolerance or _type(own) != _type(wanted):
        return False
    if isinstance(right, list | tuple) and len(value) != len(right):
        return False
    import numpy

    return bool(numpy.allclose(value, right, rtol=RELATIVE, atol=tolerance))


def _items(line: str) -> int:
    """About how many items a value has, without reading it."""
    return sum(map(line.count, ",[{"))


def _is_float_line(line: str) -> bool:
    return line[:1] != "#" and is_floats(_value(load(line)))


def is_floats(value: Any) -> bool:
    """Whether EvalPlus compares with a tolerance: a float, or a sequence of nothing else."""
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _is_equal(entry_point: str, given: str, own: Any, wanted: Any, tolerance: float) -> bool:
    """Equality, and EvalPlus's rules for tasks whose answer is not one value."""
    if own == wanted or entry_point == "are_equivalent":
        return True
    if entry_point == "sum_div":
        return own == 0
    if entry_point in ("surface_Area", "digit_distance_nums"):
        from evalplus.eval import _special_oracle as rules

        if entry_point == "surface_Area":
            return abs(own - rules._surface_Area(*load(given))) <= tolerance
        return own == rules._digit_distance_nums(*load(given))
    return False


def _value(found: Any) -> Any:
    return found.value if isinstance(found, Named) else found


def _type(found: Any) -> Any:
    return found.name if isinstance(found, Named) else type(found)
