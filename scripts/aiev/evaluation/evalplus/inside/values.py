"""Python values as lines of JSON and back: in the sandbox, and outside of it.

What a solution returns leaves the sandbox as such a line and is compared outside, so that code of
the solution's (an `__eq__`, a patched comparison) is never asked. JSON itself keeps bool, int,
float, str, None and list; other values are objects with one or two keys:

    t tuple   d dict, as pairs   s set   f frozenset   c complex   b bytes   i int, in hex
    q a number as (numerator, denominator)   n, v a value of a subclass, with its type's name
    o anything else, by its type's name
"""

import hashlib
import json
from collections.abc import Set
from fractions import Fraction
from numbers import Number

LONG = 1 << 16
"""Characters of a line: of a longer one the digest is sent; some tasks return 150 MB."""
MAX_DIGITS = 1 << 13
"""Of a ratio, in hex: to reduce one takes time by the square of them."""
CROWD = 1000
PIECE = 1000
PLAIN = frozenset({bool, float, int, str, type(None)})
WRAPPED = (("d", dict), ("t", tuple), ("s", set), ("f", frozenset))


class Opaque:
    """A value that is compared with nothing but None; equal to nothing, itself included."""

    def __eq__(self, other):
        return False

    __hash__ = object.__hash__


class Named:
    """A value of a type that is none of the basic ones; name: the type's."""

    def __init__(self, name, value):
        self.name, self.value = name, value


def dump(value, most=None):
    """One line of JSON for a value; of one longer than `most` characters its digest, after "#". For
    that the line is never whole in memory: some tasks return 1 GB."""
    try:
        return _joined(_pieces(value, False), most)
    except ValueError:  # an integer of more than 4,300 digits
        return _joined(_pieces(value, True), most)


def _pieces(value, long_integers):
    """Parts of the line; of a list or tuple, PIECE items each."""
    if type(value) not in (list, tuple):
        yield json.dumps(encode(value, long_integers))
        return
    opening, closing = ("[", "]") if type(value) is list else ('{"t": [', "]}")
    yield opening
    for start in range(0, len(value), PIECE):
        items = [*value[start : start + PIECE]]
        yield (", " if start else "") + json.dumps(encode(items, long_integers))[1:-1]
    yield closing


def _joined(pieces, most):
    kept, size, digest = [], 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        if most is None or size <= most:
            kept.append(piece)
        if most is not None:
            digest.update(piece.encode())
    return "".join(kept) if most is None or size <= most else f"#{digest.hexdigest()}"


def load(line):
    """The value of a line. A value of another type than the basic ones comes as `Named`."""
    return decode(json.loads(line))


def encode(value, long_integers=False):
    kind = type(value)
    if kind is list:
        if not long_integers and PLAIN.issuperset(map(type, value)):
            return value
        return [encode(item, long_integers) for item in value]
    if kind is int and long_integers:
        return {"i": hex(value)}
    if kind in PLAIN:
        return value
    for key, base in WRAPPED:
        if kind is base:
            items = value.items() if base is dict else value
            return {key: [encode(item, long_integers) for item in items]}
    if kind is complex:
        return {"c": [value.real, value.imag]}
    if kind in (bytes, bytearray):
        return {"b": value.hex()}
    return _other(value, kind, long_integers)


def _other(value, kind, long_integers):
    """A value of a subclass or of a library. A type that lies about itself gains nothing: what
    counts is whether the value is right."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        return {"n": name, "v": encode(value.item(), long_integers)}
    for base in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset):
        if isinstance(value, base):
            return {"n": name, "v": encode(_based(value, base), long_integers)}
    if isinstance(value, Set):  # the keys of a dictionary are equal to a set
        return {"n": name, "v": encode(set(value), long_integers)}
    if isinstance(value, Number):
        try:
            top, bottom = value.as_integer_ratio()
        except (AttributeError, ValueError, OverflowError):
            return {"o": name}
        return {"n": name, "v": {"q": [hex(top), hex(bottom)]}}
    return {"o": name}


def _based(value, base):
    """The same value with the basic type."""
    if base is dict:
        return dict(dict.items(value))
    if base in (list, tuple, set, frozenset):
        return base(base.__iter__(value))
    return base(value)


def decode(value):
    """The value of what `encode` gives; inner values have basic types."""
    if type(value) is list:
        if PLAIN.issuperset(map(type, value)):
            return value
        return [_inner(item) for item in value]
    if type(value) is not dict:
        return value
    if "n" in value:
        return Named(value["n"], _inner(value["v"]))
    ((key, held),) = value.items()
    return _DECODERS[key](held)


def _inner(value):
    found = decode(value)
    return found.value if type(found) is Named else found


def _ratio(pair):
    if max(map(len, pair)) > MAX_DIGITS:
        raise ValueError("a ratio of too many digits")
    return Fraction(int(pair[0], 16), int(pair[1], 16))


def _keys(keys):
    """The same keys, unless so many have one hash that to find one among them would take hours."""
    keys = list(keys)
    if len(keys) > CROWD and 2 * len(set(map(hash, keys))) < len(keys):
        raise ValueError("too many keys of one hash")
    return keys


def _dict(held):
    pairs = [_inner(pair) for pair in held]
    return dict(zip(_keys(key for key, _ in pairs), (value for _, value in pairs), strict=True))


_DECODERS = {
    "t": lambda held: tuple(map(_inner, held)),
    "d": _dict,
    "s": lambda held: set(_keys(map(_inner, held))),
    "f": lambda held: frozenset(_keys(map(_inner, held))),
    "c": lambda held: complex(*held),
    "b": bytes.fromhex,
    "i": lambda held: int(held, 16),
    "q": _ratio,
    "o": lambda held: Opaque(),
}
