"""Programs that must leave the same record on every backend: how they end, and all that they say.

Each is a name, the outcome, and the program (Python, as /box/main.py, unless `command` says more).
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BASH = ("bash", "main.sh")


@dataclass(frozen=True)
class Case:
    """more: keywords of Request or of Limits. layer: NumPy is mounted as site-packages."""

    name: str
    outcome: str
    program: str | bytes = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    layer: bool = False


def case(name, outcome, program="", layer=False, **more):
    text = textwrap.dedent(program).strip() + "\n" if isinstance(program, str) else program
    return Case(name, outcome, text, more, layer)


def shell(name, outcome, script, **more):
    return case(name, outcome, command=BASH, files={"main.sh": textwrap.dedent(script)}, **more)


ENDS = [
    case("an empty program", "passed"),
    case("says hello", "passed", "print('hello')"),
    *(case(f"exit code {n}", "failed", f"raise SystemExit({n})") for n in (1, 2, 127, 137, 255)),
    case("exit code 0 by name", "passed", "import sys; sys.exit(0)"),
    case("exit code beyond a byte", "passed", "import os; os._exit(256)"),
    case("exit with a message", "failed", "raise SystemExit('a reason')"),
    *(
        case(f"signal {n}", "crashed", f"import os; os.write(1, b'x'); os.kill(os.getpid(), {n})")
        for n in (1, 4, 6, 8, 9, 11, 15)
    ),
    case("a signal that Python ignores", "passed", "import os; os.kill(os.getpid(), 13); print(1)"),
    case("segmentation fault", "crashed", "import ctypes; ctypes.string_at(0)"),
    case("no main", "failed", command=("python", "none.py")),
    case("no such command", "failed", command=("no-such-command",)),
    case("a folder as a command", "failed", command=("/box",)),
]  # fmt: skip

ERRORS = [
    case("traceback", "failed", """
        import json
        def outer(text):
            return json.loads(text)
        outer("{")
        """),
    case("chained traceback", "failed", """
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("no such key") from error
        """),
    case("traceback through a module", "failed", "import helper; helper.work()",
        files={"helper.py": "def work():\n    assert 1 == 2, 'not equal'\n"}),
    case("syntax error", "failed", "def f(:\n    pass"),
    case("indentation error", "failed", "if 1:\nx = 1"),
    case("bytes that are no text", "failed", b"\xff\xfe\x00print(1)"),
    case("a null byte", "failed", b"print(1)\x00"),
    case("group of exceptions", "failed",
        "raise ExceptionGroup('several', [ValueError(1), TypeError('two')])"),
    case("error in a thread", "passed", """
        import threading
        def work():
            raise ValueError("in the thread")
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        """),
    case("missing module", "failed", "import numpy"),
    case("recursion", "failed", "def f(n):\n    return f(n + 1)\nf(0)"),
    case("warning", "passed", "import warnings; warnings.warn('old', DeprecationWarning)"),
    case("failed unittest", "failed", """
        import sys, unittest
        class Test(unittest.TestCase):
            def test(self):
                self.assertEqual([1, 2], [1, 3])
        stream = unittest.runner._WritelnDecorator(sys.stdout)
        result = unittest.TextTestResult(stream, descriptions=True, verbosity=2)
        unittest.defaultTestLoader.loadTestsFromTestCase(Test).run(result)
        result.printErrors()
        sys.exit(not result.wasSuccessful())
        """),
]  # fmt: skip

WORDS = [
    case("unicode", "passed", "print('żółć 漢字 🐍 \\u200f \\N{COMBINING ACUTE ACCENT}')"),
    case("unicode on stderr", "failed", "raise SystemExit('żółć 🐍')"),
    case("unicode in a traceback", "failed", "ключ = {}\nключ['漢字']"),
    case("bytes that are no UTF-8", "passed", r"import os; os.write(1, b'a\xff\xc3(\xe2\x82')"),
    case("control characters", "passed", r"print('\x00\x07\x1b[31mred\r\n\x7f')"),
    case("line endings", "passed", r"import sys; sys.stdout.write('a\r\nb\rc\n')"),
    case("another encoding", "passed", "# coding: latin-1\nprint('é')".encode("latin-1")),
    case("no newline at the end", "passed", "print('end', end='')"),
    case("both streams", "passed", """
        import sys
        for n in range(300):
            print(n, file=(sys.stdout, sys.stderr)[n % 2])
        """),
    case("nothing to read", "failed", "input('prompt: ')"),
    case("names of files", "passed", """
        import os
        for name in "ö", "漢", "a b", "-", b"\\xff":
            open(name, "w").close()
        print(os.listdir(), os.listdir(b"."))
        """),
]  # fmt: skip

SAME = [
    case("arguments", "passed", "import sys; print(sys.argv, __file__, __name__)",
        command=("python", "main.py", "a b", "ż", "")),
    case("as a module", "passed", "import sys; print(sys.argv, __file__, __name__, sys.path[0])",
        command=("python", "-m", "main")),
    case("as a command", "passed",
        command=("python", "-c", "import sys; print(sys.argv, sys.path)")),
    case("isolated", "passed", "import sys; print(sys.flags.isolated, sys.path)",
        command=("python", "-I", "main.py")),
    case("path and interpreter", "passed",
        "import sys; print(sys.path, sys.prefix, sys.executable, sys.orig_argv, sys.warnoptions)"),
    case("environment", "passed", "import os; print(sorted(os.environ.items()))",
        environment={"GIVEN": "a b", "PYTHONPATH": "/box/lib:/box/other"}),
    case("user and place", "passed", """
        import getpass, os, socket
        print(os.getcwd(), os.getresuid(), os.getresgid(), os.getgroups(), os.uname().nodename)
        print(getpass.getuser(), os.path.expanduser("~"), socket.gethostname(), oct(os.umask(0)))
        """),
    case("modes of what it makes", "passed", """
        import os
        open("file", "w").close()
        os.mkdir("folder")
        for name in "main.py", "file", "folder", ".", "/tmp", "/dev/shm":
            about = os.stat(name)
            print(name, oct(about.st_mode))
            if about.st_mode & 0o1002 == 0:  # who owns the others depends on who made the box
                print(about.st_uid, about.st_gid)
        """),
    case("limits", "passed", """
        import resource
        for name in ("CORE", "CPU", "DATA", "FSIZE", "NOFILE", "STACK"):
            print(name, resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
        """, memory_mib=300, cpu_seconds=7),
    case("time zone and locale", "passed", """
        import locale, time
        print(time.tzname, time.localtime(0)[:6], time.strftime("%A %B", time.gmtime(0)))
        print(locale.getlocale(), locale.localeconv()["decimal_point"])
        """),
    case("a zone of the world", "passed", """
        import datetime, zoneinfo
        print(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Warsaw")))
        """),
    case("names of temporary files", "passed", """
        import subprocess, sys, tempfile
        print(tempfile.gettempdir(), tempfile.mkdtemp(), tempfile.mkstemp(suffix=".x")[1])
        print(tempfile.NamedTemporaryFile().name, flush=True)
        subprocess.run([sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"])
        """),
    case("order of a folder", "passed", """
        import glob, os, pathlib
        for n in range(40):
            open(f"{n * 7919 % 101}.txt", "w").close()
        print(os.listdir(), glob.glob("*.txt"), [e.name for e in os.scandir()])
        print([p.name for p in pathlib.Path().iterdir()], next(os.walk("."))[2])
        """),
    case("order of a set", "passed", "print({str(n) for n in range(50)}, hash('x'))"),
    case("order of a set, another seed", "passed", "print({str(n) for n in range(50)})",
        hash_seed=1),
    case("seeded random numbers", "passed",
        "import random; random.seed(1); print(random.random())"),
    case("open files that it has", "passed", "import os; print(os.listdir('/proc/self/fd'))"),
    case("what can be seen of the system", "passed", """
        import os
        for path in "/", "/opt", "/opt/python/bin", "/tmp", "/box", "/dev/shm":
            try:
                print(path, bool(os.listdir(path)))
            except OSError as error:
                print(path, "closed" if isinstance(error, PermissionError) else "none")
        """),
]  # fmt: skip

TOGETHER = [
    case("threads", "passed", """
        import concurrent.futures as futures
        with futures.ThreadPoolExecutor(8) as pool:
            print(list(pool.map(lambda n: n * n, range(100))))
        """),
    case("a pool of processes", "passed", """
        import multiprocessing
        def square(n):
            return n * n
        if __name__ == "__main__":
            with multiprocessing.Pool(4) as pool:
                print(pool.map(square, range(20)))
        """),
    case("spawned processes and a queue", "passed", """
        import multiprocessing
        def work(queue, n):
            queue.put(n + 1)
        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=work, args=(queue, 41))
            process.start()
            print(queue.get(timeout=5))
            process.join()
        """),
    case("a subprocess", "passed", """
        import subprocess, sys
        code = "import sys; print(sys.path, sys.argv); sys.exit(3)"
        print(subprocess.run([sys.executable, "-c", code, "x"], capture_output=True, text=True))
        """),
    case("a subprocess that dies", "passed", """
        import subprocess
        print(subprocess.run(["bash", "-c", "kill -9 $$"]).returncode)
        """),
    case("asyncio", "passed", """
        import asyncio
        async def main():
            async with asyncio.timeout(5):
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 8000)
                reader, writer = await asyncio.open_connection("127.0.0.1", 8000)
                print(await reader.read())
                process = await asyncio.create_subprocess_exec("echo", "out", stdout=-1)
                print(await process.communicate())
        asyncio.run(main())
        """),
    case("loopback", "passed", """
        import socket
        print(socket.if_nameindex(), socket.gethostbyname("localhost"), socket.gethostbyname("box"))
        """),
    case("a database in a file", "passed", """
        import sqlite3
        with sqlite3.connect("x.db") as database:
            database.execute("create table t (n)")
            database.execute("insert into t values (1)")
            print(database.execute("select * from t").fetchall())
        """),
]  # fmt: skip

NUMPY = [
    case("a matrix product under 512 MiB", "passed", """
        import numpy
        a = numpy.arange(250000, dtype=float).reshape(500, 500) / 1e5
        print(numpy.__file__, (a @ a).sum(), a.mean())
        """, layer=True, memory_mib=512),
    case("the layer in a child", "passed", """
        import subprocess, sys
        code = "import numpy, json; print(numpy.__file__, json.__file__)"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True))
        """, layer=True, memory_mib=512),
    case("too big an array", "out-of-memory", "import numpy; numpy.ones((30000, 30000))",
        layer=True, memory_mib=512),
]  # fmt: skip

SHELL = [
    shell("shell", "passed", "echo \"$PWD $HOME $USER $0 $# $PATH\"; ls; command -v python"),
    shell("shell that runs Python", "failed", """
        set -e
        python -c 'print(1)'
        python -c '1/0'
        echo no
        """),
    shell("shell with an unknown command", "failed", "none --help"),
    shell("shell with pipes and jobs", "passed", """
        for n in 3 1 2; do echo $n; done | sort | tr '\\n' ' '
        (sleep 0.1; echo later) & wait; echo "$(seq 3 | wc -l)"
        """),
    shell("shell that is killed", "crashed", "echo before; kill -9 $$"),
    shell("shell whose child is killed", "failed", """
        exec 2>/dev/null  # where bash would say which process it was
        python -c 'import os; os.abort()'
        """),
    shell("shell tools", "passed", """
        seq 20 | awk '{ s += $1 } END { print s }'
        printf 'b 2\\na 1\\n' >words
        sort words | sed 's/ /-/' | cut -c1-2 | tee copy | xargs echo
        grep -c a words; head -n 1 words; tail -n 1 words; wc -c <copy; find . -name 'w*'
        mkdir -p x/y; cp words x/y; mv x z; rm words; cat z/y/words; date -d @0 +%F; uname -n; id -u
        """),
    shell("shell without packages", "failed", "python -m pip install requests"),
    shell("shell whose reader goes away", "passed", "yes | head -n 1; echo ${PIPESTATUS[0]}"),
]  # fmt: skip

LIMITS = [
    case("wall clock", "timed-out", "import time; print('began', flush=True); time.sleep(60)",
        wall_seconds=0.5),
    case("CPU seconds", "timed-out", "print('began', flush=True)\nwhile True: pass", cpu_seconds=1),
    case("memory", "out-of-memory", "bytearray(1 << 30)", memory_mib=100),
    case("memory that is caught", "passed", """
        try:
            bytearray(1 << 30)
        except MemoryError:
            print("caught")
        """, memory_mib=100),
    case("memory of all together", "out-of-memory", """
        import os, time
        for _ in range(2):
            os.fork()
        x = bytearray(60 << 20)
        for at in range(0, len(x), 4096):
            x[at] = 1
        time.sleep(9)
        """, memory_mib=100),
    case("processes", "failed", """
        import os, time
        for n in range(100):
            try:
                child = os.fork()
            except BlockingIOError as error:
                raise SystemExit(f"{n}: {error}")
            if not child:
                time.sleep(9)
        """, processes=16),
    case("open files", "failed", """
        kept = []
        while True:
            kept.append(open("/dev/null"))
            print(len(kept), kept[-1].fileno())
        """, open_files=20),
    case("file size", "failed", "open('big', 'wb').write(b'x' * (3 << 20))", file_mib=2),
    case("disk", "failed", "for n in range(9):\n    open(str(n), 'wb').write(bytes(1 << 20))",
        disk_mib=4),
    case("output", "output-cut", "while True: print('x' * 1000)", output_kib=10),
    case("output just within", "passed", "print('x' * 1023)", output_kib=1),
    case("output just beyond", "output-cut", "print('x' * 1024)", output_kib=1),
]  # fmt: skip

VARIED = [  # by the libraries that were loaded before: not the same on both
    case("addresses", "passed", "print(object.__repr__(print), object())"),
    case("fault handler", "crashed", "import faulthandler as f; f.enable(); f._sigabrt()"),
]

CORPUS = [*ENDS, *ERRORS, *WORDS, *SAME, *TOGETHER, *NUMPY, *SHELL, *LIMITS]
