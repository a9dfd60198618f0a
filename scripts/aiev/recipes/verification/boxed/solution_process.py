"""The process that runs the solution: loads it, then answers what the tests ask of its objects."""

import builtins
import contextlib
import io
import operator
import sys
import types
from typing import Any

from .wire import EXCEPTIONS, IMMUTABLE, Closed, decode, encode, is_plain, receive, send

BASES = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset)

FLAGS = type.__dict__["__flags__"].__get__  # a metaclass could have an attribute of that name

OPERATORS = (
    *("getitem", "setitem", "delitem", "contains", "eq", "lt", "le", "gt", "ge"),
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "abs"),
    *("and_", "or_", "xor"),
)
"""Functions of the module `operator`."""

OPERATIONS = {
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "getattr": getattr,
    "setattr": setattr,
    "iter": iter,
    "next": next,
    "len": len,
    "repr": repr,
    "str": str,
    "bool": bool,
    "hash": hash,
    "isinstance": isinstance,
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": lambda manager, *error: type(manager).__exit__(manager, *error),
    **{name: getattr(operator, name) for name in OPERATORS},
}


class Served:
    """The solution's objects, by the numbers under which the tests know them."""

    def __init__(self, fd: int):
        self.fd = fd
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}

    def export(self, value: Any) -> tuple:
        if isinstance(value, Callback):
            return ("yours", value.number)
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)  # kept, so that its id stays its own
        base = next((base for base in BASES if isinstance(value, base)), None)
        plain = (base(value),) if base and _plain_throughout(value, base) else ()
        is_own = not FLAGS(type(value)) & IMMUTABLE
        return ("object", number, isinstance(value, type), plain, is_own)

    def resolve(self, pid: tuple) -> Any:
        kind, number = pid[0], pid[1]
        return self.objects[number] if kind == "yours" else Callback(self, number)

    def answer(self, message: bytes) -> bytes:
        """What one question comes to: a value, or the exception that it raised."""
        printed = io.StringIO()
        try:
            operation, args, kwargs = decode(message, self.resolve)
            with contextlib.redirect_stdout(printed):
                value = self.perform(operation, args, kwargs)
            changed = args[1:] if operation == "call" else ()
            return encode(("value", value, printed.getvalue(), changed), self.export)
        except BaseException as error:  # SystemExit too: what the tests make of it is their affair
            return encode(describe(error), self.export)

    def perform(self, operation: str, args: tuple, kwargs: dict) -> Any:
        if operation == "names":
            return self.names(args[0])
        return OPERATIONS[operation](*args, **kwargs)

    def names(self, wanted: list[str]) -> dict[str, Any]:
        """Those of the solution's names that the tests use, but for modules."""
        space = vars(sys.modules["__main__"])
        found = {}
        for name in wanted:
            value = space.get(name, types)
            if isinstance(value, type) and issubclass(value, BaseException):
                found[name] = ("exception", _builtin_base(value))
            elif not isinstance(value, types.ModuleType):
                found[name] = ("value", value)
        return found


class Callback:
    """A function that the tests passed to the solution; it runs there."""

    def __init__(self, served: Served, number: int):
        self.served, self.number = served, number

    def __call__(self, *args, **kwargs):
        served = self.served
        send(served.fd, encode(("callback", self.number, args, kwargs), served.export))
        while True:
            message = receive(served.fd)
            if message[:1] == b"=":  # the callback's result; anything else is a nested question
                result = decode(message[1:], served.resolve)
                if result[0] == "value":
                    return result[1]
                raise getattr(builtins, result[1])(*result[2])
            send(served.fd, served.answer(message[1:]))


def describe(error: BaseException) -> tuple:
    """An exception as it is sent: names of its classes, and its arguments where they are plain."""
    plain = tuple(
        a if type(a) in (str, int, float, bool, type(None)) else str(a) for a in error.args
    )
    return ("error", _builtin_base(type(error)), plain, type(error).__name__)


def _builtin_base(kind: type) -> str:
    names = (c.__name__ for c in kind.__mro__ if c.__module__ == "builtins")
    return next((name for name in names if name in EXCEPTIONS), "Exception")


def _plain_throughout(value: Any, base: type) -> bool:
    try:
        if base is dict:
            return all(map(is_plain, dict.values(value)))
        return all(map(is_plain, base.__iter__(value))) if hasattr(base, "__iter__") else True
    except Exception:
        return False


def run(fd: int, source: str) -> None:
    """Load the solution and serve it until the tests are done."""
    served = Served(fd)
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = "main.py"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "main.py", "exec"), module.__dict__)
        send(fd, encode(("value", None, "", ()), served.export))
    except BaseException as error:
        send(fd, encode(describe(error), served.export))
        return
    with contextlib.suppress(Closed):
        while True:
            send(fd, served.answer(receive(fd)[1:]))
