"""Values on their way between the tests and the solution.

Values of plain types are copied. Anything else stays where it is, and a handle to it is sent.
Unpickling creates plain types only, so that neither side can make the other run code.
"""

import builtins
import io
import os
import pickle
import struct
import sys
from typing import Any

_PLAIN = {
    "builtins": "bool int float complex str bytes bytearray list tuple dict set frozenset range "
    "slice NoneType ellipsis NotImplementedType object",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "datetime": "date datetime time timedelta timezone",
    "collections": "OrderedDict Counter deque defaultdict",
    "uuid": "UUID SafeUUID",
    "pathlib": "PosixPath PurePosixPath",
}
PLAIN = {(module, name) for module, names in _PLAIN.items() for name in names.split()}
"""Types that are copied, as (module, name)."""

EXCEPTIONS = {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
MAX_MESSAGE = 16 << 20
IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


class Closed(Exception):
    """The other side is gone."""


def is_plain(value: Any) -> bool:
    """Whether a value's own type is copied; its items are looked at one by one."""
    if isinstance(value, type):
        known = value.__module__ == "builtins" or (value.__module__, value.__qualname__) in PLAIN
        return known and getattr(sys.modules[value.__module__], value.__qualname__, 0) is value
    kind = type(value)
    return (kind.__module__, kind.__qualname__) in PLAIN or kind.__module__ == "numpy"


class _Pickler(pickle.Pickler):
    def __init__(self, stream, export):
        super().__init__(stream, protocol=5)
        self.export = export

    def persistent_id(self, value):
        return None if is_plain(value) else self.export(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream, resolve, guarded):
        super().__init__(stream)
        self.resolve, self.guarded = resolve, guarded

    def persistent_load(self, pid):
        return self.resolve(pid)

    def find_class(self, module, name):
        types = module == "builtins" and isinstance(getattr(builtins, name, None), type)
        numpy = module.partition(".")[0] == "numpy" and name in _NUMPY
        if (
            (types and name not in ("type", "super", "property"))
            or (module, name) in PLAIN
            or numpy
        ):
            found = super().find_class(module, name)
            return _guarded(found) if self.guarded and isinstance(found, type) else found
        raise pickle.UnpicklingError(f"{module}.{name} is not sent")


_NUMPY = ("_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar")


class _Maker(type):
    """A class in the place of another one, whose attributes a pickle could change for all."""

    def __setattr__(cls, name, value):
        raise pickle.UnpicklingError(f"{cls.__name__}.{name} is not changed")


def _guarded(kind: type) -> type:
    """A class that makes objects of that kind, where Python allows changes of it: to pickle an
    equality of one's own for all counters needs no code."""
    if kind.__flags__ & IMMUTABLE:
        return kind

    def make(_, *args):
        return kind(*args) if args else kind.__new__(kind)

    return _Maker(kind.__name__, (), {"__new__": make})


def encode(value: Any, export) -> bytes:
    """export: gives the persistent id of what is not copied. Raises what pickling raises."""
    stream = io.BytesIO()
    _Pickler(stream, export).dump(value)
    return stream.getvalue()


def decode(data: bytes, resolve, guarded: bool = False) -> Any:
    """resolve: gives what a persistent id stands for. guarded: no class of ours can be changed.
    Raises what unpickling raises."""
    return _Unpickler(io.BytesIO(data), resolve, guarded).load()


def send(fd: int, data: bytes) -> None:
    """Raises Closed."""
    rest = memoryview(struct.pack("!I", len(data)) + data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        raise Closed from error


def receive(fd: int) -> bytes:
    """Raises Closed."""
    size = struct.unpack("!I", _read(fd, 4))[0]
    if size > MAX_MESSAGE:
        raise Closed
    return _read(fd, size)


def _read(fd: int, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = os.read(fd, min(size, 1 << 20))
        except OSError as error:
            raise Closed from error
        if not part:
            raise Closed
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
