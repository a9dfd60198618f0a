"""Hostile programs on each backend: contained, told apart, and the next run on the worker is clean.

`attacks.py` is the table of those that are one program. After each of them a second program looks,
in a run of the same shape and so on the same worker, whether anything was left: it must see exactly
what it saw before. Below are those that need a second party: the host, another run, a layer.
"""

import ctypes
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from attacks import ATTACKS, ENGINE, LIMITS
from attacks_kernel import KERNEL_ATTACKS
from attacks_second import ATTEMPTS, SECOND_ATTACKS, attempts_program
from attacks_third import THIRD_ATTACKS, THIRD_ATTEMPTS
from needs import unavailable

from aiev.core.errors import UserError
from aiev.sandbox.api import SITE_PACKAGES, Request

LEFTOVERS = """
import os, resource, signal, socket
for folder in "/box", "/tmp", "/dev/shm", "/dev/mqueue":
    if os.path.isdir(folder):
        print(folder, oct(os.stat(folder).st_mode), sorted(os.listdir(folder)))
        print([name for name in os.listxattr(folder) if name.startswith("user.")])
print("processes", sum(name.isdigit() for name in os.listdir("/proc")))
print("umask", os.umask(0), "niceness", os.nice(0), "in", os.getcwd())
print("ignored", [int(n) for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN])
print("open files", sorted(map(int, os.listdir("/proc/self/fd")))[:-1])
print("environment", sorted(os.environ.items()))
for name in ("DATA", "NPROC", "NOFILE", "FSIZE", "CORE", "STACK"):
    print(name, resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
with open("/box/mine", "w") as stream:
    stream.write("x" * 1000000)
socket.socket().bind(("127.0.0.1", 4242))
"""


def request_of(program, limits=LIMITS, **extra):
    return Request({"main.py": program}, ("python", "main.py"), limits, **extra)


def patient(limits):
    """The same limits, which make the same worker, with time enough on a busy machine."""
    return replace(limits, wall_seconds=30)


@pytest.fixture(scope="session")
def untouched(sandbox):
    """What LEFTOVERS sees on a worker that ran nothing else, under the same limits."""
    seen = {}

    def see(limits):
        if limits not in seen:
            seen[limits] = sandbox.run(request_of(LEFTOVERS, patient(limits)))
        assert seen[limits].outcome == "passed", seen[limits]
        return seen[limits].stdout

    return see


ALL = [*ATTACKS, *KERNEL_ATTACKS, *SECOND_ATTACKS, *THIRD_ATTACKS]


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_hostile(sandbox, untouched, attack):
    clean = untouched(attack.limits)
    result = sandbox.run(request_of(attack.program, attack.limits))
    assert result.outcome in attack.outcome, result
    assert attack.said is None or result.stdout == attack.said, result
    assert result.seconds < attack.limits.wall_seconds + 3
    after = sandbox.run(request_of(LEFTOVERS, patient(attack.limits)))
    assert (after.stdout, after.stderr) == (clean, "")


def test_the_attacks_are_told_apart():
    names = [attack.name for attack in ALL]
    assert len(names) == len(set(names)) >= 150
    assert not set(names) & {*ATTEMPTS, *THIRD_ATTEMPTS} and not {*ATTEMPTS} & {*THIRD_ATTEMPTS}


def test_single_calls_are_refused_each(play):
    result = play(attempts_program(ATTEMPTS | THIRD_ATTEMPTS))
    assert (result.outcome, result.stdout) == ("passed", ""), result


def test_no_key_of_the_session_is_named(play):
    """The kernel lists keys for who belongs to a session, and a box is started in its caller's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.uname().machine != "x86_64" or not os.path.exists("/proc/keys"):
        unavailable("needs the kernel's keys, by their number on x86_64")
    name = b"aiev-key-of-the-host"
    key = libc.syscall(248, b"user", name, b"x", ctypes.c_long(1), ctypes.c_long(-3))
    assert key > 0 and name in Path("/proc/keys").read_bytes()
    code = "import os\nif os.access('/proc/keys', os.R_OK): print(open('/proc/keys').read())"
    try:
        assert name.decode() not in play(code).stdout
    finally:
        libc.syscall(250, *map(ctypes.c_long, (9, key, -3)))  # unlink


# The host


@pytest.mark.real
def test_the_engine_s_socket_is_where_it_is_looked_for(docker):
    assert Path(ENGINE).is_socket()


def test_no_server_of_the_host_answers(play, tmp_path):
    code = """
    import socket
    for family, address in {addresses}:
        try:
            socket.socket(family).connect(address)
            print("reached", address)
        except OSError:
            print("refused")
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as named,
    ):
        abstract.bind(f"\0aiev-{os.getpid()}")
        named.bind(str(tmp_path / "socket"))
        abstract.listen(), named.listen()
        servers = [(int(s.family), s.getsockname()) for s in (tcp, abstract, named)]
        for family, address in servers:  # they answer here
            with socket.socket(family) as client:
                client.connect(address)
        assert play(code.format(addresses=servers)).stdout == "refused\n" * 3


def test_no_secret_of_the_environment(play, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = """
    import os
    from pathlib import Path
    print(os.environ)
    for path in Path("/proc").glob("[0-9]*/*"):
        if path.name in ("environ", "cmdline", "maps", "mountinfo", "cgroup"):
            try:
                print(path.read_text())
            except OSError:
                pass
    """
    result = play(code, environment={"GIVEN": "yes"})
    assert "sk-secret" not in result.stdout and "'GIVEN': 'yes'" in result.stdout
    assert (result.stderr, result.outcome) == ("", "passed")


def test_no_file_or_process_of_the_host(play, tmp_path):
    (tmp_path / "secret").write_text("x")
    seen = [str(tmp_path), sys.prefix, str(Path(__file__).parent), "/proc/1/root/home"]
    code = f"""
    import os
    print([path for path in {seen} if os.path.exists(path)])
    print(sum(name.isdigit() for name in os.listdir("/proc")) < 5)
    """
    assert play(code).stdout == "[]\nTrue\n"


def test_no_open_file_is_handed_down(play):
    code = """
    import os
    for fd in sorted(os.listdir("/proc/self/fd"), key=int)[:-1]:
        print(fd, os.readlink(f"/proc/self/fd/{fd}").split(":")[0])
    """
    assert play(code).stdout == "0 /dev/null\n1 pipe\n2 pipe\n"


def test_mounts_are_read_only(play, tmp_path):
    (tmp_path / "data").write_text("given")
    tmp_path.chmod(0o755)
    code = """
    import os
    print(open("/data/data").read())
    changes = (lambda p: open(p, "w")), os.unlink, (lambda p: os.link(p, "/box/mine"))
    for change in changes:
        try:
            print(change("/data/data"))
        except OSError:
            print("refused")
    """
    assert play(code, mounts={"/data": tmp_path}).stdout == "given\n" + "refused\n" * 3
    assert (tmp_path / "data").read_text() == "given"


def test_a_parent_that_reports_is_closed(play):
    """A run that hands files back has a parent in the box, of the program's own user."""
    code = """
    import os
    parent = os.getppid()
    attempts = [
        lambda: open(f"/proc/{parent}/mem", "r+b", 0), lambda: open(f"/proc/{parent}/environ"),
        lambda: os.listdir(f"/proc/{parent}/fd"), lambda: os.readlink(f"/proc/{parent}/exe"),
    ]
    for number, attempt in enumerate(attempts):
        try:
            attempt()
            print(number)
        except OSError:
            pass
    open("out", "w").write("done")
    """
    result = play(code, collect=("out",))
    assert (result.stdout, result.files) == ("", {"out": b"done"})


# Another run


def test_no_file_process_or_socket_of_another_run(sandbox):
    victim = """
        import os, socket, time
        for folder in "/box", "/tmp", "/dev/shm":
            open(f"{folder}/secret", "w").write("secret")
        servers = socket.create_server(("127.0.0.1", 4243)), socket.socket(socket.AF_UNIX)
        servers[1].bind("\\0victim")
        servers[1].listen()
        begin = time.time()
        time.sleep(2)
        print(begin, time.time())
    """
    spy = """
        import os, socket, time
        from pathlib import Path
        begin, seen = time.time(), set()
        while time.time() < begin + 1:
            names = [*Path("/tmp").iterdir(), *Path("/box").iterdir(), *Path("/dev/shm").iterdir()]
            seen |= {str(name) for name in names} - {"/box/main.py"}
            seen |= {"a process"} if sum(n.isdigit() for n in os.listdir("/proc")) > 4 else set()
            for address in ("127.0.0.1", 4243), "\\0victim":
                family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
                with socket.socket(family) as client:
                    seen |= {address} if not client.connect_ex(address) else set()
            time.sleep(0.02)
        print(begin, time.time(), seen)
    """
    programs = ("\n".join(line[8:] for line in code.splitlines()) for code in (victim, spy))
    sandbox.run(request_of("", LIMITS))  # so that a worker is warm for the victim
    with ThreadPoolExecutor(2) as pool:
        running = []
        for program in programs:
            running.append(pool.submit(sandbox.run, request_of(program)))
            time.sleep(0.3)
        said = [one.result().stdout.split() for one in running]
    assert said[1][2:] == ["set()"]
    if os.cpu_count() > 1:  # else there is one container, and one run after the other
        assert max(float(s[0]) for s in said) < min(float(s[1]) for s in said), "never at once"


GREEDY = """
import os, signal, socket, time
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
kept = []
for _ in range(9):
    if not os.fork():
        break
try:
    while True:  # pages of pipes
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        kept.append(reader)
        try:
            while True:
                os.write(writer, bytes(65536))
        except BlockingIOError:
            pass
except OSError:
    os.close(kept.pop())
    os.close(kept.pop())
ours, theirs = socket.socketpair()
try:
    while True:  # files in flight
        socket.send_fds(ours, [b"x"], kept[:100])
except OSError:
    pass
time.sleep(60)
"""
MODEST = """
import fcntl, os, socket, time
time.sleep(1)
ends = socket.socketpair()
sizes = [fcntl.fcntl(os.pipe()[0], 1032) for _ in range(20)]
try:
    socket.send_fds(ends[0], [b"x"], [0, 1, 2])
    print(min(sizes), len(socket.recv_fds(ends[1], 1, 3)[1]))
except OSError as error:
    print(min(sizes), error)
"""


def test_what_one_box_uses_up_is_no_other_box_s(request):
    """Of what the kernel counts by user. Without root all boxes are one: docs/sandbox.md."""
    if os.geteuid() != 0:
        unavailable("only root gives each box a user of its own")
    sandbox = request.getfixturevalue("bubblewrap")
    with ThreadPoolExecutor(2) as pool:
        greedy = pool.submit(sandbox.run, request_of(GREEDY, replace(LIMITS, wall_seconds=3)))
        modest = pool.submit(sandbox.run, request_of(MODEST))
        assert modest.result().stdout == "65536 3\n"
        assert greedy.result().outcome == "timed-out"


def test_eight_at_once(sandbox):
    def one(number):
        return sandbox.run(request_of(f"open('/tmp/x', 'x'); print({number})")).stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [f"{n}\n" for n in range(16)]


# What is handed back


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
    open("closed", "w").close()
    os.chmod("closed", 0)
    for mode in 0o000, 0o300, 0o600:
        os.mkdir(f"{mode}")
        open(f"{mode}/file", "w").close()
        os.chmod(f"{mode}", mode)
    """
    names = ("closed", "link", "folder/passwd", "near", "pipe", "directory", "directory/none")
    behind = (f"{mode}/file" for mode in (0o000, 0o300, 0o600))
    result = play(code, collect=(*names, *behind, "hard", "missing"))
    assert result.outcome == "passed", result
    assert set(result.files) == {"hard"}
    assert b"os.link" in result.files["hard"]


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


def test_no_hard_link_to_a_file_of_the_system(play):
    code = """
    import os
    for path in "/etc/passwd", "/opt/python/bin/python", "/proc/1/environ", "/dev/null":
        try:
            os.link(path, "/box/mine")
            print(path)
        except OSError:
            pass
    """
    result = play(code, collect=("mine",))
    assert (result.stdout, result.files) == ("", {})


# A layer of packages that is hostile


@pytest.fixture
def layer(tmp_path):
    """A folder to be mounted as site-packages, with files that anyone may read."""
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_layer_cannot_shadow_the_standard_library(play, layer):
    for name in ("json", "resource", "encodings", "marshal", "sitecustomize", "usercustomize"):
        (layer / f"{name}.py").write_text("raise SystemExit('shadowed')")
    (layer / "added.py").write_text("answer = 42")
    code = "import added, json, resource, encodings; print(added.answer, json.dumps([1]))"
    result = play(code, mounts={SITE_PACKAGES: layer})
    assert (result.stdout, result.outcome) == ("42 [1]\n", "passed"), result


def test_a_layer_that_runs_code_before_the_limits_is_refused(play, layer):
    """Python runs lines of .pth files on its way up."""
    (layer / "evil.pth").write_text("import os; os.system('id')\n")
    with pytest.raises(UserError, match="pth"):
        play("", mounts={SITE_PACKAGES: layer})


def test_a_layer_is_read_by_child_interpreters_too(play, layer):
    (layer / "added.py").write_text("answer = 42")
    (layer / "bin").mkdir()
    (layer / "bin" / "tool").write_text("#!/bin/sh\necho tool")
    (layer / "bin" / "tool").chmod(0o755)
    code = """
    import subprocess, sys
    subprocess.run([sys.executable, "-c", "import added; print(added.answer)"], check=True)
    subprocess.run(["tool"], check=True)
    """
    assert play(code, mounts={SITE_PACKAGES: layer}).stdout == "42\ntool\n"


# Mistakes of the caller


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
