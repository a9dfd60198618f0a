# ruff: noqa: E501 (programs, a line each)
"""A program in the box, run as a dialogue's is, beside a plain interpreter: the same row by row, but
for the rows of docs/sandbox.md that say why not."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.sandbox.api import open_sandbox
from aiev.sandbox.request import Limits

PAGE = (Path(__file__).parents[3] / "docs/sandbox.md").read_text("utf-8")
LIMITS = Limits(wall_seconds=10, memory_mib=256)
CAUGHT = "def f():\n    return 1\ntry:\n    assert f() == 2\nexcept AssertionError:\n    pass\n"

SAME = {
    "the folder of the program": "import os\nprint(os.path.isdir(os.path.dirname(__file__)))",
    "the name of its folder": "from pathlib import Path\nprint(bool(Path(__file__).parent.name))",
    "its file after a change of folder": "import os\nos.chdir('/')\nprint(os.path.exists(__file__))",
    "its own name": "import sys\nprint(__name__, sys.argv, sys.modules['__main__'].__name__)",
    "a byte order mark": b"\xef\xbb\xbfprint('caf\xc3\xa9')",
    "another encoding": b"# coding: latin-1\nprint('caf\xe9')",
    "another encoding, in the second line": b"#!/bin/python\n# -*- coding: cp1252 -*-\nprint('\x80')",
    "lines of Windows": b"print(1)\r\nprint('''a\r\nb''')\r\n",
    "a hook for exceptions": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n"
    "raise ValueError",
    "an interrupt": "print('before')\nraise KeyboardInterrupt",
    "an interrupt that is caught": "try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n"
    "    print('caught')",
    "an assert in the block of a class": "from enum import Enum\nclass C(Enum):\n    RED = 1\n"
    "    if True:\n        assert RED == 1\n    BLUE = 2\nprint(list(C))",
    "asserts in methods": "class C:\n    def f(self):\n        assert [1] == [1]\n"
    "        return sorted(locals())\nprint(C().f())",
    "no asserts where Python has none": "import subprocess, sys\n"
    "code = 'assert 1 == 2, 3\\nprint(__debug__)'\n"
    "print(subprocess.run([sys.executable, '-O', '-c', code]).returncode)",
    "an exit code": "raise SystemExit(3)",
    "an exit with a text": "raise SystemExit('text')",
    "what is done at the exit": "import atexit\natexit.register(print, 'bye')\nraise ValueError",
    "a thread that is waited for": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.05), print('done'))).start()",
    "pickled classes": "import pickle\nclass C:\n    pass\n"
    "print(type(pickle.loads(pickle.dumps(C()))) is C)",
    "processes": "import multiprocessing\ndef f(x):\n    return x + 1\n"
    "if __name__ == '__main__':\n    with multiprocessing.Pool(2) as pool:\n"
    "        print(pool.map(f, [1, 2]))",
    "its source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
    "        self.assertEqual(1, 1)\nunittest.main()",
    "doctest": "import doctest\ndef f():\n    '''\n    >>> f()\n    1\n    '''\n    return 1\n"
    "print(doctest.testmod())",
    "encodings": "import sys\nprint(sys.stdout.encoding, sys.getfilesystemencoding(), 'é')",
    "names after a failed assert, but one": f"{CAUGHT}print([n for n in dir() if n[0] != '@'][-1])",
    "loaded modules": "import sys\nassert len(sys.argv) == 1\n"
    "print([name for name in ('ast', 'traceback') if name in sys.modules])",
    "sockets, at their own size": "import socket\na, b = socket.socketpair()\na.send(b'x')\n"
    "print(b.recv(1))",
    "shared memory": "from multiprocessing.shared_memory import SharedMemory\n"
    "m = SharedMemory(create=True, size=1 << 20)\nm.buf[0] = 7\nprint(m.buf[0])\nm.close()\nm.unlink()",
}

DIFFERENT = {
    "names after a failed assert": f"{CAUGHT}print(sorted(n for n in dir() if n[0] != '_'))",
    "frames above the program": "import inspect\nprint(len(inspect.stack()))",
    "loader and cache": "print(__loader__ is None, '__cached__' in globals())",
    "certificates": "import ssl\nprint(len(ssl.create_default_context().get_ca_certs()) > 0, 'here')\n"
    "import os\nprint(os.path.exists('/etc/ssl'))",
    "larger buffers": "import socket\ns = socket.socket()\ns.setsockopt(1, 7, 1 << 18)\nprint('done')",
    "terminals": "import os\nprint(len(os.openpty()))",
    "20 MiB of shared memory": "from multiprocessing.shared_memory import SharedMemory\n"
    "m = SharedMemory(create=True, size=20 << 20)\nm.unlink()\nm.buf[:] = bytes(20 << 20)\nprint(1)",
}
"""By the name of their row in docs/sandbox.md."""


@pytest.fixture(scope="module")
def interpreter():
    with open_sandbox("bubblewrap") as sandbox:
        yield Interpreter(sandbox, LIMITS, None)


def outside(source, folder):
    """Outcome, exit code and stdout under a plain interpreter without packages."""
    (folder / "main.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    environment = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"}
    python = getattr(sys, "_base_executable", None) or sys.executable
    done = subprocess.run(
        [python, "main.py"], cwd=folder, env=environment, capture_output=True, timeout=30
    )
    code, text = done.returncode, done.stdout.decode("utf-8", "replace")
    if code < 0:
        return "crashed", None, text
    return "failed" if code else "passed", code, text


def inside(source, interpreter):
    request = interpreter.request(Script(source if isinstance(source, str) else ""))
    if isinstance(source, bytes):
        request.files["main.py"] = source
    result = interpreter.sandbox.run(request)
    return result.outcome, result.exit_code, result.stdout


def both(rows, interpreter, folder):
    """What each row says outside and in the box."""

    def one(row):
        name, source = row
        (own := folder / str(abs(hash(name)))).mkdir()
        return name, outside(source, own), inside(source, interpreter)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, rows.items()))


def test_programs_are_the_same_as_under_a_plain_interpreter(interpreter, tmp_path):
    for name, plain, boxed in both(SAME, interpreter, tmp_path):
        assert boxed == plain, name


def test_what_is_different_is_on_the_page(interpreter, tmp_path):
    for name, plain, boxed in both(DIFFERENT, interpreter, tmp_path):
        assert boxed != plain, name
        assert f"| {name} |" in PAGE, name
