"""Random programs and requests on each backend: none is lost, none hangs, none spoils the next.

A few of each by default; SANDBOX_FUZZ=10000 asks for that many.
"""

import os
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiev.sandbox import Limits, Request

LIMITS = Limits(memory_mib=256, disk_mib=16, output_kib=64)
SOON = replace(LIMITS, wall_seconds=1)
OUTCOMES = {"passed", "failed", "timed-out", "out-of-memory", "crashed", "output-cut"}
AT_ONCE = 4
FRESH = "import os; print(os.listdir('/box'), os.listdir('/tmp'), os.listdir('/dev/shm'))"
IMPORTS = "import contextlib, os, sys, time, signal, threading"
STATEMENTS = [
    *("print('x' * 50)", "x = [0] * 10 ** 6"),
    *("os.fork()", "os.setsid()", "os._exit(3)", "sys.exit(4)", "os.abort()", "1 / 0"),
    *("os.kill(os.getpid(), 19)", "os.kill(os.getppid(), 9)", "os.kill(-1, 15)", "os.killpg(0, 2)"),
    *("os.close(1)", "os.close(2)", "os.dup2(1, 2)", "os.closerange(0, 64)", "sys.stdout.close()"),
    *("open('/tmp/x', 'w').write('x' * 10 ** 6)", "os.mkdir('/box/y', 0)", "os.chmod('/tmp', 0)"),
    *("os.symlink('/', '/dev/shm/root')", "os.mkfifo('/box/pipe')", "open('/box/pipe', 'w')"),
    *("os.write(1, b'\\xff' * 70000)", "bytearray(1 << 29)", "os.nice(19)", "os.umask(0o777)"),
    *("threading.Thread(target=time.sleep, args=(0.2,)).start()", "time.sleep(0.1)"),
    *("signal.signal(15, signal.SIG_IGN)", "signal.alarm(1)", "signal.pause()", "while True: pass"),
    *("while True:", "if os.fork():", "for n in range(9):", "def f():"),
    "with contextlib.suppress(BaseException):",
]  # fmt: skip
FUZZ = settings(
    max_examples=int(os.environ.get("SANDBOX_FUZZ", "0")) // AT_ONCE or 12,
    deadline=None,
    derandomize="SANDBOX_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def program(text, limits=LIMITS):
    return Request({"main.py": text}, ("python", "main.py"), limits)


@pytest.fixture(scope="session")
def run_all(sandbox):
    """Run several at once; each must end in time, and leave the next an empty box."""
    fresh = "['main.py'] [] []\n"

    def run(programs):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(sandbox.run, programs))
            after = list(pool.map(sandbox.run, [program(FRESH)] * 2))
        assert [result.stdout for result in after] == [fresh] * 2
        for result in results:
            assert result.outcome in OUTCOMES
            assert result.seconds < programs[0].limits.wall_seconds + 5, result
            assert (result.exit_code == 0) == (result.outcome == "passed"), result
        return results

    return run


def several(strategy):
    return st.lists(strategy, min_size=AT_ONCE, max_size=AT_ONCE)


@FUZZ
@given(several(st.binary(max_size=200)))
@example([b"", b"\0", b"1", b"\xef\xbb\xbf"])
def test_random_bytes_as_programs(run_all, codes):
    """None says anything on stdout but by chance, and each is answered for."""
    results = run_all([program(code) for code in codes])
    assert {result.outcome for result in results} <= {"passed", "failed"}, (codes, results)


@st.composite
def statements(draw):
    """Hostile statements in a random order, some of them within others."""
    lines, depth = [], 0
    for line in draw(st.lists(st.sampled_from(STATEMENTS), max_size=12)):
        lines.append("    " * depth + line)
        depth += 1 if line.endswith(":") else -draw(st.integers(0, min(depth, 1)))
    return "\n".join([IMPORTS, *lines, "    " * depth + "pass"])


@FUZZ
@given(several(statements()))
def test_random_statements_as_programs(run_all, codes):
    run_all([program(code, SOON) for code in codes])


CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS, min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..", "main.py", "in", "to")
)
ECHO = textwrap.dedent("""
    import os, sys
    out, err, name = (open(path, "rb").read() for path in ("in/out", "in/err", "in/name"))
    os.write(1, out)
    os.write(2, err)
    os.makedirs("to", exist_ok=True)
    open(b"to/" + name, "wb").write(open(name, "rb").read())
    os._exit(int(sys.argv[1]))
    """)


@FUZZ
@given(
    st.binary(max_size=3000), st.binary(max_size=3000), NAMES, st.binary(max_size=3000),
    st.integers(0, 255),
)  # fmt: skip
def test_what_a_program_says_arrives_as_it_was(sandbox, out, err, name, content, code):
    files = {"main.py": ECHO, "in/out": out, "in/err": err, "in/name": name.encode(), name: content}
    command = ("python", "main.py", str(code))
    result = sandbox.run(Request(files, command, LIMITS, collect=(f"to/{name}",)))
    assert result.stdout == out.decode("utf-8", "replace")
    assert result.stderr == err.decode("utf-8", "replace")
    assert result.exit_code == code
    assert result.files == {f"to/{name}": content}
