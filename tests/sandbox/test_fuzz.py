"""Random programs and requests on each backend: none is lost, none hangs, none spoils the next.

A few of each by default; SANDBOX_FUZZ=10000 asks for that many of each, which takes hours.
At night, 10,000 byte strings on bubblewrap alone (11 ms of a core for each).
"""

import json
import os
import random
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiev.sandbox.api import Limits, Request

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


IN_A_BOX = 50
"""A box of its own for each would double the time; the test above gives each its own."""
DRIVER = textwrap.dedent("""
    import json, subprocess, sys
    for number in range(int(sys.argv[1])):
        command = [sys.executable, f"{number}.py"]
        none = subprocess.DEVNULL
        try:
            done = subprocess.run(command, stdin=none, stdout=none, stderr=none, timeout=10)
            print(json.dumps([number, done.returncode]))
        except subprocess.TimeoutExpired:
            print(json.dumps([number, "hangs"]))
    """)


def byte_strings(count):
    """The same each time. Short ones and printable ones too, as they get further in Python."""
    chance = random.Random("programs")
    for number in range(count):
        size = chance.randint(0, (4, 200)[number % 2])
        letters = range(32, 127) if number % 4 < 2 else range(256)
        yield bytes(chance.choices(letters, k=size))


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_many_random_bytes_as_programs(count, bubblewrap):
    """Each is a process of its own, many in one box: every one is answered for, and none hangs."""
    codes = list(byte_strings(count))
    batches = [codes[start : start + IN_A_BOX] for start in range(0, count, IN_A_BOX)]

    def run(batch):
        files = {f"{number}.py": code for number, code in enumerate(batch)}
        command = ("python", "main.py", str(len(batch)))
        limits = replace(LIMITS, wall_seconds=120, cpu_seconds=60)
        return bubblewrap.run(Request({"main.py": DRIVER, **files}, command, limits))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(run, batches))
    for batch, result in zip(batches, results, strict=True):
        assert result.outcome == "passed", result
        said = [json.loads(line) for line in result.stdout.splitlines()]
        assert [number for number, _ in said] == list(range(len(batch))), (batch, said)
        bad = [batch[number] for number, code in said if code not in (0, 1)]
        assert not bad, (bad, said)


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
    """None says more than it may, and what ran too long or too large is told from what failed."""
    for result in run_all([program(code, SOON) for code in codes]):
        assert len(result.stdout.encode()) <= 3 * SOON.output_kib * 1024, result
        assert result.outcome != "timed-out" or result.seconds >= SOON.wall_seconds, result


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
