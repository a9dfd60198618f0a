"""Stand-ins for the solution's objects: what the tests do to one is done in its own process."""

import builtins
import operator
import sys
from typing import Any

from .solution_process import OPERATORS, describe
from .wire import EXCEPTIONS, Closed, decode, encode, receive, send

MAX_SHOWN = 300
"""Characters of a value that is reported."""


class Gone(BaseException):
    """The solution's process is gone; no `except Exception` of the tests may hide it."""


FIXED = (int, float, complex, str, bytes, tuple, frozenset)


class Remote:
    """Stands for an object of the solution. What is done to it is done there.

    value: the plain value that it stands for, in a tuple, or (). is_type: whether it is a class.
    is_own: whether its class is one that a program made.
    """

    def __init__(self, peer: "Peer", number: int, value: tuple, is_type: bool, is_own: bool):
        self.__dict__["@"] = (peer, number, value, is_type, is_own)

    def __call__(self, *args, **kwargs):
        return _ask("call", self, *args, **kwargs)

    def __getattr__(self, name):
        """Methods of what cannot change, such as `startswith`, by the plain value: they would tell
        the solution what is expected."""
        value = self.__dict__["@"][2]
        if value and isinstance(value[0], FIXED) and hasattr(value[0], name):
            return getattr(value[0], name)
        return _ask("getattr", self, name)

    def __eq__(self, other):
        """Against a value of the tests, never by the solution's own code: by the plain value that
        the object stands for, which was sent before it could know what it is compared with."""
        value = self.__dict__["@"][2]
        if isinstance(other, Remote):
            return _ask("eq", self, other)
        return bool(value) and value[0] == other

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return _ask("hash", self)

    def __instancecheck__(self, value):
        return isinstance(value, Remote) and _ask("isinstance", value, self)


def _ask(operation: str, remote: Remote, *args, **kwargs):
    return remote.__dict__["@"][0].ask(operation, (remote, *args), kwargs)


def _forward(operation: str):
    return lambda self, *args: _ask(operation, self, *args)


def _compare(operation: str):
    """Order against a value of the tests, by the plain value as well."""

    def compare(self, other):
        value = self.__dict__["@"][2]
        if isinstance(other, Remote):
            return _ask(operation, self, other)
        return getattr(operator, operation)(value[0], other) if value else NotImplemented

    return compare


def _compute(operation: str):
    """A result with a value of the tests, by the plain value as well: `abs(f(1) - 7) < 0.1` tells
    the solution what is expected."""

    def compute(self, other):
        value = self.__dict__["@"][2]
        if value and not isinstance(other, Remote):
            return getattr(operator, operation)(value[0], other)
        return _ask(operation, self, other)

    return compute


COMPUTED = ("contains", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
COMPUTED += ("and_", "or_", "xor")

for _name in (*OPERATORS, "setattr", "iter", "next", "len", "repr", "str", "bool", "enter", "exit"):
    if _name in ("lt", "le", "gt", "ge"):
        setattr(Remote, f"__{_name}__", _compare(_name))
    elif _name in COMPUTED:
        setattr(Remote, f"__{_name.rstrip('_')}__", _compute(_name))
    elif _name != "eq":
        setattr(Remote, f"__{_name.rstrip('_')}__", _forward(_name))


class Peer:
    """The solution's process, from this side.

    stub: calls of its functions return None, without being made; the solution cannot know of it.
    """

    def __init__(self, fd: int, report, stub: bool = False):
        self.fd, self.report, self.stub = fd, report, stub
        self.names: dict[int, str] = {}
        self.own: list[Any] = []

    def export(self, value: Any) -> tuple:
        if isinstance(value, Remote):
            return ("yours", value.__dict__["@"][1])
        self.own.append(value)
        return ("object", len(self.own) - 1)

    def resolve(self, pid: tuple) -> Any:
        if pid[0] == "yours":
            return self.own[pid[1]]
        return Remote(self, pid[1], pid[3], bool(pid[2]), bool(pid[4]))

    def ask(self, operation: str, args: tuple, kwargs: dict) -> Any:
        """Raises what the solution raised, and Gone."""
        send_question = encode((operation, args, kwargs), self.export)
        name = self.names.get(args[0].__dict__["@"][1]) if operation == "call" else None
        shown = _shown_arguments(args[1:], kwargs) if name else ""
        if self.stub and operation == "call" and not args[0].__dict__["@"][3]:
            answer = ("value", None, "", args[1:])
        else:
            answer = self._exchange(send_question)
        if name:
            self.report("call", name, shown, *_outcome(answer, args[1:]))
            if answer[0] == "value" and _has_own_object(answer[1]):
                self.report("object", name)
        if answer[0] == "error":
            raise _exception(answer)
        _, value, printed, changed = answer
        if printed:
            sys.stdout.write(printed)
        for before, after in zip(args[1:], changed, strict=False):
            _update(before, after)
        return value

    def _exchange(self, question: bytes) -> tuple:
        try:
            send(self.fd, b"?" + question)
            return self.answered()
        except Closed:
            self.report("gone")
            raise Gone from None

    def ask_names(self, names: list[str]) -> dict[str, Any]:
        """Those of the names that the solution defines: (kind, value) of each."""
        send(self.fd, b"?" + encode(("names", (names,), {}), self.export))
        return self.answered()[1]

    def answered(self) -> tuple:
        """The answer; functions of the tests that the solution calls meanwhile are run here."""
        while True:
            try:
                answer = decode(receive(self.fd), self.resolve, guarded=True)
            except Closed:
                raise
            except Exception:  # what cannot be read is no answer
                raise Closed from None
            if answer[0] == "value":
                return answer
            if answer[0] == "error" and answer[1] in EXCEPTIONS:
                return answer
            if answer[0] != "callback":
                # No answer of solution_process: the solution wrote to its socket itself.
                raise Closed
            try:
                result = ("value", self.own[answer[1]](*answer[2], **answer[3]))
            except Exception as error:
                result = describe(error)
            send(self.fd, b"=" + encode(result, self.export))


def _outcome(answer: tuple, args: tuple) -> tuple[str, str]:
    """What came of a call: its value, with the arguments that it changed, or the exception. Then
    the value alone, "" where there is none or it is too long: digits that are cut are another
    number."""
    if answer[0] == "error":
        return f"raised {answer[3]}"[:MAX_SHOWN], ""
    _, value, _, after = answer
    pairs = zip(args, after, strict=False)
    changed = [repr(new) for old, new in pairs if type(old) in (list, dict, set) and new != old]
    shown = repr(value)
    whole = f"({', '.join([shown, *changed])})" if changed else shown
    return whole[:MAX_SHOWN], shown if len(shown) <= MAX_SHOWN else ""


def _has_own_object(value: Any) -> bool:
    """Whether it is, or holds, an object of a class of the program's that is no plain value."""
    if isinstance(value, Remote):
        _, _, plain, is_type, is_own = value.__dict__["@"]
        return is_own and not plain and not is_type
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return isinstance(value, list | tuple | set) and any(map(_has_own_object, value))


def _exception(answer: tuple) -> BaseException:
    kind = KNOWN.get(answer[3]) or getattr(builtins, answer[1])  # one of EXCEPTIONS
    try:
        return kind(*answer[2])
    except TypeError:  # UnicodeDecodeError and others want arguments of their own
        return Exception(*answer[2])


KNOWN: dict[str, type] = {}
"""Exceptions that the solution defines, made anew here by their names."""


def _update(before: Any, after: Any) -> None:
    """Bring into an argument what the solution changed in its copy."""
    if type(before) is not type(after) or isinstance(before, Remote):
        return
    if isinstance(before, list | bytearray):
        before[:] = after
    elif isinstance(before, dict | set):
        before.clear()
        before.update(after)


def _shown_arguments(args: tuple, kwargs: dict) -> str:
    """Arguments before the call, which may change them."""
    words = [repr(a) if not callable(a) else getattr(a, "__name__", "?") for a in args]
    return ", ".join([*words, *(f"{k}={v!r}" for k, v in kwargs.items())])[:MAX_SHOWN]
