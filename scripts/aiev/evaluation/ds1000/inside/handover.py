"""What solution and checker hand to each other: pickled values of known kinds.

A pickle may call anything. What a solution sends is read by `Reader`, which makes arrays, tables,
estimators, figures and plain values: of the libraries only classes, and the few functions listed
here. It sets no state of a class or function, and no attribute that hides a method, so that no
comparison can be replaced.
"""

import collections
import enum
import io
import pickle
import types
from typing import ClassVar

import numpy

LIBRARIES = {
    *("numpy", "pandas", "scipy", "sklearn", "matplotlib", "seaborn", "statsmodels", "patsy"),
    *("mpl_toolkits", "PIL", "dateutil", "pytz", "kiwisolver"),
}
"""Packages whose classes may be made from what a solution hands over."""
REFUSED = (
    *("numpy.distutils", "numpy.f2py", "numpy.testing", "pandas.io", "pandas.core.computation"),
    *("scipy.io", "sklearn.externals", "matplotlib.testing", "matplotlib.texmanager"),
    *("matplotlib.dviread", "matplotlib.animation", "matplotlib.backends.backend_pgf"),
    *("scipy.stats._distn_infrastructure", "numpy.lib.stride_tricks"),
    *("numpy.lib._stride_tricks_impl", "patsy.eval"),
)
"""Modules of theirs that start programs, read and write files, run text of an object's state, or
make arrays of any memory; classes made from theirs too."""
PLAIN = {
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple", "Ellipsis", "NotImplemented"),
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor", "__newobj__"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "functools": {"partial"},
    "itertools": {"count", "cycle"},
    "operator": {"itemgetter"},
}
FUNCTIONS = {
    ("pandas.plotting._matplotlib.converter", "_daily_finder"),
    ("pandas.plotting._matplotlib.timeseries", "_format_coord"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.ma.core", "_mareconstruct"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.tslibs.offsets", "_make_offset"),
    ("pandas._libs.tslibs.period", "_unpickle_period"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.missing", "NA"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.interval", "_new_IntervalIndex"),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    ("pandas.core.arrays.arrow._arrow_utils", "pyarrow_array_to_numpy_and_mask"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
    ("matplotlib.artist", "_stale_axes_callback"),
    ("matplotlib.axis", "Axis._format_with_dict"),
    ("matplotlib.backend_bases", "_key_handler"),
    ("matplotlib.backend_bases", "_mouse_handler"),
    ("matplotlib.cbook", "_exception_printer"),
    ("matplotlib.cbook", "_picklable_class_constructor"),
}
"""Functions that make values of the libraries, or stand in a figure; any other one is refused."""
STATELESS = (
    *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    numpy.ufunc,
)
"""Kinds of things that are the same for all: their state may not be set."""


class Writer(pickle.Pickler):
    """Pickles with NumPy's own types by name.

    An unpickled copy of the type `object` is another object, so that NumPy takes a view where it
    would copy; pandas 1.5.3's `astype(str)` then changes its own input.
    """

    def reducer_override(self, value):
        if isinstance(value, numpy.dtype) and value is numpy.dtype(value.char):
            return numpy.dtype, (value.char,)
        return NotImplemented


def dumps(value) -> bytes:
    """The value, pickled."""
    file = io.BytesIO()
    Writer(file).dump(value)
    return file.getvalue()


def loads(data: bytes):
    """The value that the solution sent. Raises pickle.UnpicklingError for one of another kind."""
    return Reader(io.BytesIO(data)).load()


class Reader(pickle._Unpickler):
    """Makes values of known kinds only; in Python, as pickle's own reader cannot be told how
    state is set, or what is called and filled on the way."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, file):
        super().__init__(file)
        self.found = []

    def find_class(self, module, name):
        found = self._find_class(module, name)
        self.found.append(found)
        return found

    def _find_class(self, module, name):
        if (module, name) == ("builtins", "getattr"):
            return _method
        if (module, name) == ("builtins", "type"):
            return _type_of
        if name in PLAIN.get(module, ()) or (module, name) in FUNCTIONS:
            return super().find_class(module, name)
        if module.partition(".")[0] in LIBRARIES:
            found = super().find_class(module, name)
            if _is_harmless(found) or name.startswith("__pyx_unpickle_"):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} may not be handed over")

    def _called(self, function):
        """Refuse to call what was made on the way, such as an `itemgetter`, and what writes."""
        named = any(function is each for each in self.found)
        if not named or isinstance(function, numpy.ufunc):
            raise pickle.UnpicklingError(f"{function!r} may not be called")

    def load_reduce(self):
        self._called(self.stack[-2])
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def _instantiate(self, klass, args):
        self._called(klass)
        super()._instantiate(klass, args)

    def load_build(self):
        made = self.stack[-2]
        if isinstance(made, STATELESS):
            raise pickle.UnpicklingError(f"the state of {made!r} may not be set")
        super().load_build()
        for name in () if _is_drawn(made) else getattr(made, "__dict__", ()):
            own = getattr(type(made), name, None)
            if callable(own) and not isinstance(own, type):
                raise pickle.UnpicklingError(f"{name} of {type(made).__name__} may not be hidden")

    dispatch[pickle.BUILD[0]] = load_build


def _fills(codes, depth, kinds):
    """Let these opcodes fill values of such kinds only: an array could lie anywhere in memory.

    depth: where on the stack the value lies, or 0 for the top of the stack below the last mark.
    """
    for code in codes:
        load = pickle._Unpickler.dispatch[code[0]]

        def checked(reader, load=load):
            filled = reader.stack[depth] if depth else reader.metastack[-1][-1]
            if not isinstance(filled, kinds):
                raise pickle.UnpicklingError(f"a {type(filled).__name__} may not be filled")
            load(reader)

        Reader.dispatch[code[0]] = checked


_fills([pickle.SETITEM], -3, dict)
_fills([pickle.SETITEMS], 0, dict)
_fills([pickle.APPEND], -2, (list, collections.deque))
_fills([pickle.APPENDS], 0, (list, collections.deque))
_fills([pickle.ADDITEMS], 0, set)


def _is_harmless(found) -> bool:
    """Whether it is a class of the libraries that makes no class itself, or a ufunc."""
    if isinstance(found, numpy.ufunc):
        return True
    if not isinstance(found, type) or issubclass(found, type):
        return False
    if isinstance(found, enum.EnumMeta) and not len(found):
        return False
    return found.__module__.partition(".")[0] in LIBRARIES and not any(
        base.__module__ == refused or base.__module__.startswith(f"{refused}.")
        for base in found.__mro__
        for refused in REFUSED
    )


def _is_drawn(thing) -> bool:
    """Whether it is a part of a figure. These call methods of their own, and their attributes are
    all that tests ask of them."""
    return type(thing).__module__.partition(".")[0] in ("matplotlib", "mpl_toolkits")


def _type_of(*given):
    """In place of `type`, which could make classes too: that of a constant."""
    if given in ((None,), (Ellipsis,), (NotImplemented,)):
        return type(given[0])
    raise pickle.UnpicklingError("classes may not be handed over")


def _method(thing, name):
    """In place of `getattr`, which reaches everything: a method of a part of a figure, such as one
    that it calls when it changes."""
    if type(thing) is list and name == "remove":
        return thing.remove
    if not _is_drawn(thing) or name.startswith("__"):
        raise pickle.UnpicklingError(f"{name} of {type(thing).__name__} may not be handed over")
    return getattr(thing, name)
