"""The process that runs the tests, with stand-ins for the objects of the solution."""

import ast
import builtins
import contextlib
import inspect
import io
import json
import os
import sys
import types
from typing import Any

from .instrument import CHECK, ENTERED, REACHED, instrument
from .reach import reaches
from .stand_ins import KNOWN, MAX_SHOWN, Gone, Peer, Remote
from .wire import EXCEPTIONS, Closed


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


def run(fd: int, report, case: dict) -> None:
    """Run a case's tests to their end and report each step; `end` is the last word of those that
    came there."""
    source, imports = case["tests"], case["imports"]
    try:
        if word := reaches(source, imports):
            report("broken", f"the tests reach for {word}")
            return
        codes, checks, names = instrument(source)
        report("checks", checks)
        peer = Peer(fd, report, case["stub"])
        loaded = peer.answered()
        if loaded[0] == "error":
            report("broken", f"{loaded[3]}: {', '.join(map(str, loaded[2]))}"[:MAX_SHOWN])
            return
        space = _namespace(peer, report, names - _imported(case), imports)
        with contextlib.redirect_stdout(io.StringIO()):
            if _all_run(codes, report) and _collected(space, report):
                report("end")
    except (Gone, Closed):
        report("gone")
    except BaseException as error:
        report("broken", f"{type(error).__name__}: {error}"[:MAX_SHOWN])


def _imported(case: dict) -> set[str]:
    """Names that the tests have by an import, whatever the solution puts in its place: `math` in an
    assert is math. Not those of the solution's own functions and classes."""
    lines = [node for line in case["imports"] for node in ast.parse(line).body]
    names = {alias.asname or alias.name.partition(".")[0] for n in lines for alias in n.names}
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    try:
        own = {n.name for n in ast.parse(case["solution"]).body if isinstance(n, defined)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return names
    return names - own


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


def reporter(fd: int, token: str):
    """A function that writes one report, a JSON line after the token, which no test knows."""

    def report(*words) -> None:
        data = memoryview(f"{token}{json.dumps(words)}\n".encode())
        while data:
            data = data[os.write(fd, data) :]

    return report
