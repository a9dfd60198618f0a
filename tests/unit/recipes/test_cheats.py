# ruff: noqa: E501 (programs, a line each)
"""Programs that lie, by kind: each passes when it is run as a whole, and none is verified.

More of them, by plainer means, are in `test_evidence.py`; those against duels in
`tests/unit/rounds/test_duel.py`, against benchmarks in `tests/unit/evaluation/test_evalplus.py`.
"""

import textwrap

import pytest

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.boxed.reach import reaches
from aiev.recipes.verification.boxed.wire import decode, encode
from aiev.recipes.verification.contract import Contract
from aiev.recipes.verification.evidence import collect
from aiev.recipes.verification.observe import Case, observe
from aiev.recipes.verification.policies import Policy, judge
from aiev.recipes.verification.separate import separate
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Limits

LIMITS = Limits(wall_seconds=5, memory_mib=256, processes=16)
POLICY = Policy(policy="examples", min_examples=0)
TESTS = "assert f(1) == 7\nassert f(2) == 5\n"
WEAK = "assert f(1) != 'x'\nassert f(2) != 'y'\n"
FOUND = r"assert f.(\d). == (\d+)"
BESIDE = f"""
    found = re.findall(r"{FOUND}", open("main.py").read())
    return int(dict(found)[str(x)])
"""
"""How a program passes as a whole: its tests lie beside it then."""


def program(text, tests=TESTS):
    return textwrap.dedent(text).strip() + "\n\n\n" + tests


SOLUTIONS = {
    # What is expected, looked for in the solution's own process
    "frames": program(f"""
import re, sys
def f(x):
    frame = sys._getframe()
    while frame:
        if found := re.findall(r"{FOUND}", repr(frame.f_locals)):
            return int(dict(found)[str(x)])
        frame = frame.f_back
{BESIDE}"""),
    "the garbage collector": program(f"""
import gc, re
def f(x):
    for each in gc.get_objects():
        for value in list(each.values()) if type(each) is dict else []:
            if type(value) is str and (found := re.findall(r"{FOUND}", value)):
                return int(dict(found)[str(x)])
{BESIDE}"""),
    "its own memory": program(f"""
import re
def f(x):
    text = ""
    for line in open("/proc/self/maps"):
        words = line.split()
        if "rw" in words[1] and "/" not in line:
            first, last = (int(word, 16) for word in words[0].split("-"))
            with open("/proc/self/mem", "rb", 0) as memory:
                memory.seek(first)
                text += memory.read(last - first).decode("latin-1")
    if found := re.findall(r"assert f\\\\((\\d)\\\\) == (\\d+)", text):
        return int(dict(found)[str(x)])
{BESIDE}""".replace("\\\\\\\\", "\\\\")),
    "descriptors and memory of other processes": program(f"""
import os, re
def f(x):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in "mem", "environ", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7", "fd/8":
            try:
                fd = os.open(f"/proc/{{pid}}/{{name}}", os.O_RDWR)
                os.write(fd, b'["check", 0, true, ""]\\n["check", 1, true, ""]\\n["end"]\\n')
            except OSError:
                pass
{BESIDE}"""),
    # Values that are equal to all
    "a list": program("""
class All(list):
    def __eq__(self, other):
        return True
def f(x):
    return All()
"""),
    "a text, with methods of its own": program("""
class All(str):
    def startswith(self, _):
        return True
    endswith = startswith
def f(x):
    return All()
""", "assert f(1).startswith('a')\nassert f(2).endswith('b')\n"),
    "a number, with bits of its own": program("""
class All(int):
    def __xor__(self, _):
        return 0
    def __and__(self, _):
        return 1
def f(x):
    return All()
""", "assert not f(1) ^ 7\nassert f(2) & 8\n"),
    "a text, with an order of its own": program("""
class All(str):
    def __eq__(self, other):
        return True
    __lt__ = __gt__ = __le__ = __ge__ = __eq__
    __hash__ = str.__hash__
def f(x):
    return All()
""", "assert f(1) == 'a'\nassert f(2) > 'b' > f(2)\n"),
    "within a list": program("""
class All(int):
    def __eq__(self, other):
        return True
def f(x):
    return [All(0)]
""", "assert f(1) == [7]\nassert f(2) == [5]\n"),
    "a number that is near to all, and a multiple of all": program("""
class All(float):
    def __sub__(self, other):
        return 0.0
    __mod__ = __sub__
def f(x):
    return All(3)
""", "assert abs(f(1) - 7) < 1e-6\nassert f(2) % 5 == 0\n"),
    "a list that holds all": program("""
class All(list):
    def __contains__(self, other):
        return True
def f(x):
    return All()
""", "assert 7 in f(1)\nassert 5 in f(2)\n"),
    "a class that claims to be another": program("""
class All:
    __class__ = int
    def __eq__(self, other):
        return True
def f(x):
    return All()
"""),
    "an equality by a pickle of its own": program("""
import os, pickle, struct
from collections import Counter
class All(int):
    def __eq__(self, other):
        return True
def f(x):
    change = b"ccollections\\nCounter\\nN}X\\x06\\x00\\x00\\x00__eq__cbuiltins\\nValueError\\ns\\x86b0"
    data = b"\\x80\\x05" + change + pickle.dumps(("value", Counter(), "", (x,)), 5)[2:]
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack("!I", len(data)) + data)
            os.read(fd, 1 << 16)
        except OSError:
            pass
    return All()
"""),
    # What the tests use
    "patched helpers": program("""
import math
math.isclose = lambda *_, **__: True
def f(x):
    return 0
""", "assert math.isclose(f(1), 7)\nassert math.isclose(f(2), 5)\n"),
    "patched builtins": program("""
import builtins
builtins.all = lambda _: True
def f(x):
    return 0
""", "assert all([f(1) == 7])\nassert all([f(2) == 5])\n"),
    "patched assert methods": program("""
import unittest
unittest.TestCase.assertEqual = lambda *_: None
def f(x):
    return 0
""", "class TestF(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(f(1), 7)\n"
        "    def test_two(self):\n        self.assertEqual(f(2), 5)\n"),
    "another module by that name": program("""
import sys, types
sys.modules["math"] = types.SimpleNamespace(isclose=lambda *_: True)
import math
def f(x):
    return 0
""", "assert math.isclose(f(1), 7)\nassert math.isclose(f(2), 5)\n"),
    # The end
    "a thread that ends all": program("""
import os, threading, time
def f(x):
    threading.Thread(target=os._exit, args=(0,)).start()
    time.sleep(5)
"""),
    "a signal that it handles": program("""
import os, signal
signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
def f(x):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while True:
        pass
"""),
    "killed tests": program("""
import os
def f(x):
    me = os.getpid()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) not in (1, me):
            try:
                os.kill(int(pid), 9)
            except OSError:
                pass
    os._exit(0)
"""),
}  # fmt: skip
"""Of the solution; the tests are true."""

LEAVING = {
    "a daemon that ends the tests of the stub and of the mutants": program(
        """
import os, time
if not os.path.exists("/tmp/was"):
    open("/tmp/was", "w").close()
    if not os.fork():
        os.setsid()
        end = time.time() + 4
        while time.time() < end:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if int(pid) > os.getpid():
                    try:
                        os.kill(int(pid), 9)
                    except OSError:
                        pass
        os._exit(0)
def f(x):
    return 0
""",
        WEAK,
    ),
    "it leaves where it stands for a stub": program(
        """
import os, sys
frame = sys._getframe()
while frame:
    if frame.f_locals.get("stub") is True:
        os._exit(0)
    frame = frame.f_back
def f(x):
    return 0
""",
        WEAK,
    ),
}
"""Tests that hold for anything, made to fail on a stub."""

CAUGHT = "try:\n    assert f(1) == 7\n    assert f(2) == 5\nexcept AssertionError:\n    pass\n"
WRONG = "import os\nimport sys\n\n\ndef f(x):\n    return 0\n\n\n"
FORGED = '\'["check", 0, true, ""]\\n["check", 1, true, ""]\\n["end"]\\n\''
LYING_TESTS = {
    "a patched check": "m = sys.modules.get('boxed.tests_process')\nif m:\n"
    "    m._Check.__exit__ = lambda self, *_: self.report('check', self.number, True, '') or True\n",
    "frames": "def test_a():\n    frame = sys._getframe()\n    while frame:\n"
    "        frame.f_locals.get('report', print)('check', 0, True, '')\n"
    "        frame = frame.f_back\ntest_a()\n",
    "by text": "getattr(sys, '_getframe')(0)\n",
    "a forged report": f"for fd in range(3, 20):\n    try:\n        os.write(fd, {FORGED}.encode())\n"
    "    except OSError:\n        pass\n",
    "a forged report through a file": "for fd in range(3, 20):\n    try:\n"
    f"        open(fd, 'w').write({FORGED})\n    except OSError:\n        pass\n",
}


@pytest.fixture(scope="module")
def interpreter():
    with open_sandbox("bubblewrap") as sandbox:
        yield Interpreter(sandbox, LIMITS, None)


@pytest.fixture
def held(interpreter):
    """Whether the tests hold of a program that passed when it was run as a whole."""

    def watch(code, shell=""):
        script = Script(code, shell)
        first = interpreter.run(script)
        assert first.outcome == "passed", first.stderr
        parts = separate(code)
        (seen,), _ = observe(interpreter, script, parts, [Case(parts.solution)])
        return seen.held

    return watch


@pytest.mark.parametrize("code", SOLUTIONS.values(), ids=SOLUTIONS)
def test_a_solution_that_lies_is_found_out(code, held):
    assert not held(code)


@pytest.mark.parametrize("code", LEAVING.values(), ids=LEAVING)
def test_tests_that_hold_for_anything_are_found_out(code, interpreter):
    script = Script(code)
    first = interpreter.run(script)
    flaw = Contract("", (), "no-signature")
    evidence = collect(interpreter, script, separate(code), first, flaw, max_mutants=2)
    assert first.outcome == "passed"
    # A daemon may end the tests of the solution itself as well.
    assert judge(evidence, POLICY) in ("vacuous", "unfinished")


@pytest.mark.parametrize("tests", LYING_TESTS.values(), ids=LYING_TESTS)
def test_tests_that_lie_are_found_out(tests, held):
    assert not held(f"{WRONG}{tests}{CAUGHT}")


def test_a_shell_block_cannot_put_a_module_in_the_checker_s_way(held):
    module = (
        "import sys\nRLIMIT_CPU, setrlimit = 0, lambda *_: None\n"
        "m = sys.modules.get('boxed.tests_process')\nif m:\n"
        "    m._Check.__exit__ = lambda self, *_: self.report('check', self.number, True, '') or 1\n"
    )
    names = "resource", "json", "unittest", "inspect", "decimal"
    shell = "".join(f"cat > {name}.py <<'E'\n{module}E\n" for name in names)
    code = "class All(int):\n    def __eq__(self, other):\n        return True\n\n\n"
    code += f"def f(x):\n    return All(0)\n\n\n{TESTS}"
    assert not held(code, shell)


def test_what_a_solution_imports_of_its_own_is_still_found(held):
    shell = "echo 'def g(x): return {1: 7, 2: 5}[x]' > own.py\n"
    code = f"from own import g\n\n\ndef f(x):\n    return g(x)\n\n\n{TESTS}"
    assert held(code, shell)


def test_what_a_solution_defines_is_tested_though_it_imports_that_name_too(held):
    code = "from math import factorial\n\n\ndef factorial(n):\n    return n + 100\n\n\n"
    assert held(code + "assert factorial(3) == 103\nassert factorial(0) == 100\n")


@pytest.mark.parametrize(
    "tests",
    [
        "import io\nimport inspect\nassert inspect.isgenerator(f(1))",
        "import os\nassert os.path.join('a', f(1)) == 'a/b'",
        "import sys\nassert f(1) < sys.maxsize and sys.version_info",
        "assert f('modules') == 'sys' and f('kill') and f('write')",
        "modules = [1]\nassert f(modules).write(1)",
    ],
)
def test_honest_tests_reach_for_nothing(tests):
    assert reaches(tests, ["import gc", "import ctypes", "from os import path"]) == ""


def test_values_made_in_python_keep_their_types_on_the_guarded_side():
    from collections import Counter, OrderedDict
    from fractions import Fraction
    from pathlib import PurePosixPath
    from uuid import UUID

    values = [Counter("aab"), Counter(), Fraction(1, 3), PurePosixPath("a/b"), UUID(int=5)]
    values += [OrderedDict(a=1), {Fraction(1, 2): [UUID(int=1)]}]
    again = decode(encode(values, None), None, guarded=True)
    assert again == values and list(map(type, again)) == list(map(type, values))
