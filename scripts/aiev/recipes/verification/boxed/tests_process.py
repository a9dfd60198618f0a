"""The process that runs the tests, with stand-ins for the functions of the solution."""

import builtins
import contextlib
import inspect
import io
import json
import operator
import os
import sys
import types
from typing import Any

from .instrument import CHECK, ENTERED, REACHED, instrument
from .solution_process import OPERATORS, describe
from .wire import EXCEPTIONS, Closed, decode, encode, receive, send

MAX_SHOWN = 300
"""Characters of a value that is reported."""


class Gone(BaseException):
    """The solution's process is gone; no `except Exception` of the tests may hide it."""


class Remote:
    """Stands for an object of the solution. What is done to it is done there."""

    def __init__(self, peer: "Peer", number: int, value: tuple):
        self.__dict__["@"] = (peer, number, value)

    def __call__(self, *args, **kwargs):
        return _ask("call", self, *args, **kwargs)

    def __getattr__(self, name):
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


for _name in (*OPERATORS, "setattr", "iter", "next", "len", "repr", "str", "bool", "enter", "exit"):
    if _name in ("lt", "le", "gt", "ge"):
        setattr(Remote, f"__{_name}__", _compare(_name))
    elif _name != "eq":
        setattr(Remote, f"__{_name.rstrip('_')}__", _forward(_name))


class Peer:
    """The solution's process, from this side. calls: what was called, and what came of it."""

    def __init__(self, fd: int, report):
        self.fd, self.report = fd, report
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
        return Remote(self, pid[1], pid[3])

    def ask(self, operation: str, args: tuple, kwargs: dict) -> Any:
        """Raises what the solution raised, and Gone."""
        send_question = encode((operation, args, kwargs), self.export)
        name = self.names.get(args[0].__dict__["@"][1]) if operation == "call" else None
        shown = _shown_arguments(args[1:], kwargs) if name else ""
        try:
            send(self.fd, b"?" + send_question)
            answer = self.answered()
        except Closed:
            self.report("gone")
            raise Gone from None
        if name:
            came = repr(answer[1]) if answer[0] == "value" else f"raised {answer[3]}"
            self.report("call", name, shown, came[:MAX_SHOWN])
        if answer[0] == "error":
            raise _exception(answer)
        _, value, printed, changed = answer
        if printed:
            sys.stdout.write(printed)
        for before, after in zip(args[1:], changed, strict=False):
            _update(before, after)
        return value

    def ask_names(self, names: list[str]) -> dict[str, Any]:
        """Those of the names that the solution defines: (kind, value) of each."""
        send(self.fd, b"?" + encode(("names", (names,), {}), self.export))
        return self.answered()[1]

    def answered(self) -> tuple:
        """The answer; functions of the tests that the solution calls meanwhile are run here."""
        while True:
            try:
                answer = decode(receive(self.fd), self.resolve)
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


class _Check:
    """Reports how one check ended, and goes on with the tests."""

    def __init__(self, report, number: int):
        self.report, self.number = report, number

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is Gone:
            return False
        said = "" if error is None else f"{kind.__name__}: {error}"[:MAX_SHOWN]
        self.report("check", self.number, error is None, said)
        return True


def run(fd: int, report, source: str, imports: list[str]) -> None:
    """Run the tests to their end and report each step; `end` is the last word of those that came
    there."""
    try:
        codes, checks, names = instrument(source)
        report("checks", checks)
        peer = Peer(fd, report)
        loaded = peer.answered()
        if loaded[0] == "error":
            report("broken", f"{loaded[3]}: {', '.join(map(str, loaded[2]))}"[:MAX_SHOWN])
            return
        space = _namespace(peer, report, names, imports)
        with contextlib.redirect_stdout(io.StringIO()):
            if _all_run(codes, report) and _collected(space, report):
                report("end")
    except (Gone, Closed):
        report("gone")
    except BaseException as error:
        report("broken", f"{type(error).__name__}: {error}"[:MAX_SHOWN])


ENTERED_TESTS: set[str] = set()


def _namespace(peer: Peer, report, names: set[str], imports: list[str]) -> dict[str, Any]:
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    space = module.__dict__
    for line in imports:
        with contextlib.suppress(Exception):
            exec(line, space)
    # A builtin is the tests' own, whatever the solution makes of it: `abs` in an assert is abs.
    wanted = sorted(names.difference(vars(builtins)))
    for name, (kind, value) in peer.ask_names(wanted).items():
        if name not in wanted:
            continue
        if kind == "exception" and value in EXCEPTIONS:
            value = KNOWN[name] = type(name, (getattr(builtins, value),), {})
        elif isinstance(value, Remote):
            peer.names[value.__dict__["@"][1]] = name
        space[name] = value
    space[CHECK] = lambda number: _Check(report, number)
    space[REACHED] = lambda number, holds: report("check", number, holds, "")
    space[ENTERED] = ENTERED_TESTS.add
    return space


def _all_run(codes: list, report) -> bool:
    """Whether every statement ran without leaving the program. One that raises is reported, and
    the next one runs."""
    space = sys.modules["__main__"].__dict__
    _replace_unittest_main(space, report)
    for code in codes:
        try:
            exec(code, space)
        except (Gone, SystemExit):
            report("left")
            return False
        except BaseException as error:
            report("raised", f"{type(error).__name__}: {error}"[:MAX_SHOWN])
    return True


def _replace_unittest_main(space: dict[str, Any], report) -> None:
    """unittest.main() ends the program; here it runs the test cases and goes on."""
    if "unittest" in sys.modules:
        unittest = sys.modules["unittest"]
        unittest.main = lambda *_, **__: _run_cases(unittest, space, report)
        if "main" in space:
            space["main"] = unittest.main


def _run_cases(unittest, space: dict[str, Any], report) -> None:
    suite = unittest.TestSuite()
    for kind in list(space.values()):
        if isinstance(kind, type) and issubclass(kind, unittest.TestCase):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(kind))
    result = unittest.TestResult()
    suite.run(result)
    for _, text in result.errors + result.failures:
        report("raised", text.strip().rpartition("\n")[2][:MAX_SHOWN])


def _collected(space: dict[str, Any], report) -> bool:
    """Run what pytest or unittest would collect and nothing has called."""
    unittest = sys.modules.get("unittest")
    before = set(ENTERED_TESTS)
    if unittest and not before:
        _run_cases(unittest, space, report)
    for name, value in list(space.items()):
        tests = {}
        if inspect.isfunction(value):
            tests = {name: value}
        elif inspect.isclass(value) and name.startswith("Test"):
            if unittest and issubclass(value, unittest.TestCase):
                continue
            with contextlib.suppress(Exception):
                instance = value()
                tests = {n: getattr(instance, n) for n in vars(value)}
        for own, test in tests.items():
            if own.startswith("test") and own not in before and not _parameters(test):
                try:
                    test()
                except (Gone, SystemExit):
                    report("left")
                    return False
                except BaseException as error:
                    report("raised", f"{type(error).__name__}: {error}"[:MAX_SHOWN])
    return True


def _parameters(test) -> bool:
    needed = inspect.signature(test).parameters.values()
    return any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in needed)


def reporter(fd: int):
    """A function that writes one report, a JSON line."""

    def report(*words) -> None:
        data = memoryview((json.dumps(words) + "\n").encode())
        while data:
            data = data[os.write(fd, data) :]

    return report
