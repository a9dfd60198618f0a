"""Hostile programs, one property each: what it tries, its text, what must come of it."""

import os
import platform
import pwd
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from aiev.sandbox.api import Limits

PROJECT = Path(__file__).parents[2]
ENGINE = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")).path
LIMITS = Limits(memory_mib=256, disk_mib=16, file_mib=8, output_kib=64)
SOON = replace(LIMITS, wall_seconds=0.5)


@dataclass(frozen=True)
class Attack:
    """What it tries, and what must come of it.

    said:    exactly this stdout; None for whatever.
    outcome: one of these words.
    """

    name: str
    program: str
    said: str | None = "refused\n"
    outcome: tuple[str, ...] = ("passed",)
    limits: Limits = LIMITS


def refused(attempt):
    """A program that says whether an attempt ended in an error of the system."""
    body = textwrap.indent(textwrap.dedent(attempt).strip(), "    ")
    return (
        "import mmap, os, resource, socket, subprocess\n"
        f"try:\n{body}\nexcept OSError:\n    print('refused')\nelse:\n    print('done')\n"
    )


def unreachable(attempt):
    """A program that says that there is no way to an address: no waiting, and no answer either."""
    return refused(attempt).replace(
        "except OSError:\n    print('refused')",
        "except OSError as error:\n    none = error.errno in (99, 101)  # no address, no route\n"
        "    print('refused' if none else error)",
    )


def text(program):
    return textwrap.dedent(program).strip() + "\n"


def call(name, *arguments):
    """A program that makes a raw system call, and says whether its right to do so was denied."""
    numbers = CALLS[name]
    return text(f"""
        import ctypes, errno, os
        libc = ctypes.CDLL(None, use_errno=True)
        number = {{"x86_64": {numbers[0]}, "aarch64": {numbers[1]}}}[os.uname().machine]
        answer = libc.syscall(number, *map(ctypes.c_long, {arguments}))
        denied = ctypes.get_errno() in (errno.EPERM, errno.EACCES, errno.ENOSYS)
        print("refused" if answer == -1 and denied else (answer, ctypes.get_errno()))
        """)


CALLS = {  # the number on x86_64, and on aarch64
    "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51), "clone": (56, 220),
    "clock_settime": (227, 112), "fanotify_init": (300, 262), "finit_module": (313, 273),
    "fsopen": (430, 430), "init_module": (175, 105), "inotify_init1": (294, 26),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104), "keyctl": (250, 219), "memfd_create": (319, 279),
    "mount": (165, 40), "mq_open": (240, 180), "msgget": (68, 186),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "pivot_root": (155, 41), "process_vm_readv": (310, 270),
    "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218),
    "semget": (64, 190), "setns": (308, 268), "shmget": (29, 194), "swapon": (167, 224),
    "syslog": (103, 116), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip

NETWORK = [
    Attack("connect over IPv4", unreachable("socket.create_connection(('192.0.2.1', 80), 2)")),
    Attack("connect over IPv6", unreachable("socket.create_connection(('2001:db8::1', 80), 2)")),
    Attack("send a datagram", unreachable(
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))"
    )),
    Attack("broadcast", unreachable("""
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.sendto(b'x', ('255.255.255.255', 67))
        """)),
    Attack("resolve a name", refused("socket.getaddrinfo('example.org', 80)")),
    Attack("ask a cloud for its metadata", unreachable(
        "socket.create_connection(('169.254.169.254', 80), 2)"
    )),
    Attack("bind a foreign address", refused("socket.socket().bind(('192.0.2.1', 8080))")),
    Attack("raw IP socket", refused("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)")),
    Attack("raw packet socket", refused("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)")),
    Attack("socket to the hypervisor", refused("socket.socket(socket.AF_VSOCK)")),
    Attack("the kernel's ciphers", refused("socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)")),
    Attack("see an interface", "import socket; print(socket.if_nameindex())", "[(1, 'lo')]\n"),
    Attack("take an interface down", refused("""
        import fcntl
        fcntl.ioctl(socket.socket(), 0x8914, b'lo'.ljust(40, b'\\0'))
        """)),
]  # fmt: skip

FILES = [
    Attack("read the home directory", refused(f"os.listdir({str(Path.home())!r})")),
    Attack("read root's home", refused(f"os.listdir({pwd.getpwuid(0).pw_dir!r})")),
    Attack("read the project", refused(f"os.listdir({str(PROJECT)!r})")),
    Attack("read the interpreter's packages", refused(f"os.listdir({sys.prefix!r})")),
    Attack("read /etc/shadow", refused("open('/etc/shadow')")),
    Attack("find the engine's socket", text(f"""
        import os
        names = "docker.sock", "podman/podman.sock", "containerd/containerd.sock", "dbus"
        paths = {ENGINE!r}, *(f"{{d}}/{{n}}" for n in names for d in ("/run", "/var/run"))
        print([path for path in paths if os.path.exists(path)])
        """), "[]\n"),
    Attack("find a disk or another device", text("""
        import os, stat
        known = "full null ptmx random tty urandom zero console".split()
        for name in sorted(set(os.listdir("/dev")) - {*known, "stdin", "stdout", "stderr"}):
            mode = os.stat(f"/dev/{name}").st_mode if os.path.exists(f"/dev/{name}") else 0
            if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
                print(name)
        """), ""),
    Attack("write outside /box and /tmp", text("""
        import os
        folders = "/ /opt /opt/python/lib /opt/box /usr/bin /usr/lib /lib /etc /dev /proc /sys /var"
        for folder in folders.split():
            try:
                open(f"{folder}/x", "w").close()
                print(folder)
            except OSError:
                pass
        """), ""),
    Attack("change what is there", text("""
        import os
        changes = (lambda p: open(p, "a")), os.unlink, (lambda p: os.chmod(p, 0))
        hook = "/opt/box/sitecustomize.py", "/opt/box/sitecustomize.pyc"
        box = *hook, "/opt/box/.", "/opt/python/bin/python"
        for path in "/etc/passwd", "/etc/hosts", *box:
            for change in changes:
                try:
                    change(path)
                    print(path)
                except OSError:
                    pass
        """), ""),
    Attack("change the kernel's settings", text("""
        for path in (
            "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
            "/proc/sys/user/max_user_namespaces", "/proc/sys/vm/drop_caches", "/proc/1/mem",
            "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/mm/ksm/run",
        ):
            try:
                with open(path, "r+b", 0) as stream:
                    stream.write(b"1")
                print(path)
            except OSError:
                pass
        """), ""),
    Attack("read the kernel's memory", text("""
        for path in "/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg":
            try:
                print(path, open(path, "rb").read(16) and "read")
            except OSError:
                pass
        """), ""),
]  # fmt: skip

PRIVILEGES = [
    Attack("have a capability, or gain one from a set-user-ID program", text("""
        lines = dict(line.split(":\\t") for line in open("/proc/self/status") if ":\\t" in line)
        print(*(int(lines[f"Cap{name}"], 16) for name in ("Prm", "Eff", "Amb")))
        print(lines["NoNewPrivs"].strip(), lines["Seccomp"].strip())
        """), "0 0 0\n1 2\n"),
    Attack("be root", "import os; print(0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()))",
        "False\n"),
    Attack("become root", refused("os.setuid(0)")),
    Attack("become another group", refused("os.setgroups([0])")),
    Attack("make a device", refused("os.mknod('/box/disk', 0o60600, os.makedev(8, 0))")),
    Attack("own what is not ours", refused("open('x', 'w').close()\nos.chown('x', 0, 0)")),
    Attack("raise a limit", text("""
        import resource
        for name in "DATA", "NPROC", "NOFILE", "FSIZE", "CPU", "CORE":
            kind = getattr(resource, f"RLIMIT_{name}")
            try:
                resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                print(name)
            except (OSError, ValueError):
                pass
        """), ""),
    Attack("run before others", refused(
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    )),
    Attack("rename the machine", refused("socket.sethostname('x')")),
    Attack("user namespace", call("unshare", 0x10000000)),
    Attack("mount namespace", call("unshare", 0x00020000)),
    Attack("user namespace by clone", call("clone", 0x10000000 | 17, 0, 0, 0, 0)),
    Attack("enter a namespace", call("setns", 0, 0)),
    Attack("mount", call("mount", 0, 0, 0, 0, 0)),
    Attack("mount, the new way", call("fsopen", 0, 0)),
    Attack("clone a mount", call("open_tree", -100, 0, 1)),
    Attack("unmount", call("umount2", 0, 2)),
    Attack("change the root", call("chroot", 0)),
    Attack("swap the root", call("pivot_root", 0, 0)),
    Attack("trace", call("ptrace", 0, 0, 0, 0)),
    Attack("read another's memory", call("process_vm_readv", 1, 0, 0, 0, 0, 0)),
    Attack("kernel keyring", call("keyctl", 0, -3, 1)),
    Attack("leave a key", call("add_key", 0, 0, 0, 0, -3)),
    Attack("ask for a key", call("request_key", 0, 0, 0, -3)),
    Attack("bpf", call("bpf", 0, 0, 0)),
    Attack("perf_event_open", call("perf_event_open", 0, 0, -1, -1, 0)),
    Attack("memory without a name, which no limit counts", call("memfd_create", 0, 0)),
    Attack("userfaultfd", call("userfaultfd", 1)),
    Attack("io_uring", call("io_uring_setup", 1, 0)),
    Attack("open by handle", call("open_by_handle_at", -100, 0, 0)),
    Attack("watch all files", call("fanotify_init", 0, 0)),
    Attack("watch files, with what all boxes have 128 of together", call("inotify_init1", 0)),
    Attack("larger buffers of a socket, which no limit counts", text("""
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            for option in 7, 8, 32, 33:  # SO_SNDBUF, SO_RCVBUF, and by force
                try:
                    s.setsockopt(socket.SOL_SOCKET, option, 1 << 22)
                    print(option)
                except PermissionError:
                    pass
        """), ""),
    Attack("larger buffers of a pipe, which no limit counts", refused("""
        import fcntl
        fcntl.fcntl(os.pipe()[1], fcntl.F_SETPIPE_SZ, 1 << 20)
        """)),
    Attack("load a module", call("init_module", 0, 0, 0)),
    Attack("load a module from a file", call("finit_module", 0, 0, 0)),
    Attack("load a kernel", call("kexec_load", 0, 0, 0, 0)),
    Attack("reboot", call("reboot", 0, 0, 0, 0)),
    Attack("swap on a file", call("swapon", 0, 0)),
    Attack("quotas", call("quotactl", 0, 0, 0, 0)),
    Attack("read the kernel's log", call("syslog", 3, 0, 0)),
    Attack("set the clock", call("clock_settime", 0, 0)),
    Attack("System V memory, which outlives us", call("shmget", 0, 4096, 0o1666)),
    Attack("System V queue, which outlives us", call("msgget", 77, 0o1666)),
    Attack("System V semaphore, which outlives us", call("semget", 77, 1, 0o1666)),
    Attack("POSIX queue, which outlives us", call("mq_open", 0, 0o101, 0o666, 0)),
    Attack("type into a terminal", refused("""
        import fcntl, pty, termios
        fcntl.ioctl(pty.openpty()[1], termios.TIOCSTI, b"x")
        """)),
]  # fmt: skip
if platform.machine() == "x86_64":
    PRIVILEGES.append(
        Attack("a system call of another architecture", text("""
            import ctypes, mmap
            page = mmap.mmap(-1, 4096, prot=7)
            page.write(bytes.fromhex("b814000000" "cd80" "c3"))  # getpid, by the 32-bit gate
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            print(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
            """), "", ("crashed",))
    )  # fmt: skip

TIME = [
    Attack("sleep", "import time; time.sleep(60)", "", ("timed-out",), SOON),
    Attack("spin", "while True: pass", "", ("timed-out",), SOON),
    Attack("spin in C", "(2 ** (10 ** 9)) ** 9", "", ("timed-out",),
        replace(LIMITS, wall_seconds=0.5, memory_mib=2048)),
    Attack("ignore every signal", text("""
        import signal, time
        for n in range(1, 65):
            try:
                signal.signal(n, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            time.sleep(1)
        """), "", ("timed-out",), SOON),
    Attack("close stdout and stderr", "import os, time; os.closerange(1, 3); time.sleep(60)", "",
        ("timed-out",), SOON),
    Attack("stop itself", "import os; os.kill(os.getpid(), 19)", "", ("timed-out",), SOON),
    Attack("spend CPU seconds", "while True: pass", "", ("timed-out",),
        replace(LIMITS, cpu_seconds=1)),
    *(
        Attack(f"spend nearly all CPU seconds and exit with {code}", text(f"""
            import os, time
            while time.process_time() < 0.85:
                pass
            os._exit({code})
            """), "", ("failed",), replace(LIMITS, cpu_seconds=1))
        for code in (137, 152)
    ),
    Attack("spend CPU seconds, and ignore the warning",
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", "",
        ("timed-out",), replace(LIMITS, cpu_seconds=1)),
]  # fmt: skip

PROCESSES = [
    Attack("fork bomb", "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", "",
        ("timed-out",), replace(SOON, processes=20)),
    Attack("fork bomb in the shell", text("""
        import os
        os.execvp("bash", ["bash", "-c", "f() { f | f & }; f; sleep 60"])
        """), "", ("timed-out", "failed"), replace(SOON, processes=20)),
    Attack("thread bomb", text("""
        import threading, time
        while True:
            try:
                threading.Thread(target=time.sleep, args=(9,)).start()
            except RuntimeError:
                time.sleep(0.01)
        """), "", ("timed-out",), replace(SOON, processes=20)),
    Attack("a child that outlives it", text("""
        import os, time
        if not os.fork():
            time.sleep(60)
        """), ""),
    Attack("a daemon of a double fork in a session of its own", text("""
        import os, time
        if not os.fork():
            os.setsid()
            if not os.fork():
                os.closerange(0, 100)
                time.sleep(60)
            os._exit(0)
        os.wait()
        """), ""),
    Attack("a stopped child", text("""
        import os, signal
        child = os.fork()
        if not child:
            signal.pause()
        os.kill(child, signal.SIGSTOP)
        """), ""),
    Attack("a chain of forks, each gone before it is seen", text("""
        import os
        os.fork()
        while not os.fork():
            if os.getpid() % 2:
                os.setsid()
        """), ""),
    Attack("kill every process", text("""
        import os
        try:
            os.kill(-1, 9)
        except OSError:
            pass
        """), None, ("passed", "crashed")),
    Attack("kill the parent", "import os; os.kill(os.getppid(), 9)", "", ("crashed", "failed")),
    Attack("stop the parent", text("""
        import os, time
        try:
            os.kill(os.getppid(), 19)
        finally:
            time.sleep(60)
        """), "", ("timed-out",), SOON),
    Attack("kill its whole group", "import os; os.killpg(0, 9)", "", ("crashed",)),
    Attack("signal a process of the host", refused(f"os.kill({os.getpid()}, 0)")),
]  # fmt: skip

MEMORY = [
    Attack("a big block", "bytearray(1 << 30)", "", ("out-of-memory",)),
    Attack("many blocks", "kept = []\nwhile True: kept.append(bytearray(1 << 20))", "",
        ("out-of-memory",)),
    Attack("many small ones", "kept = []\nwhile True: kept.append([0] * 1000)", "",
        ("out-of-memory",)),
    Attack("mapped memory", "import mmap; m = mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE)", "",
        ("out-of-memory",)),
    Attack("many processes, a little each", text("""
        import os, time
        for _ in range(3):
            os.fork()
        x = bytearray(b"x" * (60 << 20))
        time.sleep(9)
        """), "", ("out-of-memory",)),
    Attack("shared memory", text("""
        import mmap, time
        m = mmap.mmap(-1, 600 << 20)
        for i in range(0, 600 << 20, 4096):
            m[i] = 1
        time.sleep(9)
        """), "", ("out-of-memory",)),
    Attack("deep recursion", "def f(): f()\nf()", "", ("failed",)),
    Attack("deep recursion without Python's limit", text("""
        import sys
        sys.setrecursionlimit(10 ** 9)
        class Deep:
            def __getattr__(self, name):
                return getattr(self, name)
        Deep().x
        """), "", ("crashed", "out-of-memory")),
    Attack("recursion in C", text("""
        import sys
        sys.setrecursionlimit(10 ** 9)
        x = ()
        for _ in range(10 ** 5):
            x = (x,)
        repr(x)
        """), "", ("crashed", "out-of-memory", "failed")),
]  # fmt: skip

DISK = [
    *(
        Attack(f"fill {folder}", refused(f"""
            for i in range(64):
                open(f"{folder}/{{i}}", "wb").write(bytes(1 << 20))
            """))
        for folder in ("/box", "/tmp", "/dev/shm")
    ),
    *(
        Attack(f"use up the inodes of {folder}", text(f"""
            import os
            folder = os.open("{folder}", os.O_RDONLY)
            for i in range(10 ** 6):
                try:
                    os.mkdir(str(i), dir_fd=folder)
                except OSError:
                    break
            """), "", ("out-of-memory",))
        for folder in ("/box", "/tmp", "/dev/shm")
    ),
    Attack("a file above the limit", refused("open('big', 'wb').write(b'x' * (9 << 20))")),
    Attack("a sparse file", refused("open('big', 'wb').truncate(1 << 40)")),
    Attack("a sparse file by seeking", refused("""
        with open("big", "wb") as stream:
            stream.seek(1 << 40)
            stream.write(b"x")
        """)),
    Attack("too many open files", refused("kept = [open('/dev/null') for _ in range(1000)]")),
    Attack("leave folders that none may enter", text("""
        import os
        for folder in "/box", "/tmp", "/dev/shm":
            os.makedirs(f"{folder}/a/b/c")
            open(f"{folder}/a/b/c/d", "w").close()
            os.chmod(f"{folder}/a/b/c/d", 0)
            os.chmod(f"{folder}/a/b", 0)
            os.chmod(f"{folder}/a", 0)
        """), ""),
    Attack("leave a path deeper than any path may be", text("""
        import os
        for folder in "/box", "/tmp":
            os.chdir(folder)
            for _ in range(400):
                os.mkdir("deep" * 50)
                os.chdir("deep" * 50)
        """), ""),
    Attack("leave names that are no text", text(r"""
        import os
        for name in b"\\xff\\xfe", b"a\\nb", b"-rf", b" ", b"\\x1b[2J", b"..." , b"*":
            open(b"/tmp/" + name, "w").close()
            os.mkdir(b"/box/" + name)
        """), ""),
    Attack("leave sockets, pipes and links", text("""
        import os, socket
        for folder in "/box", "/tmp", "/dev/shm":
            os.mkfifo(f"{folder}/pipe")
            os.symlink("/", f"{folder}/root")
            os.symlink("loop", f"{folder}/loop")
            socket.socket(socket.AF_UNIX).bind(f"{folder}/socket")
        """), ""),
    Attack("leave pipes beside folders that are not empty", text("""
        import os
        for folder in "/box", "/tmp", "/dev/shm":
            os.makedirs(f"{folder}/a/b")
            open(f"{folder}/a/b/c", "w").close()
            for place in folder, f"{folder}/a", f"{folder}/a/b":
                os.mkfifo(f"{place}/pipe")
        """), ""),
    Attack("leave attributes on the working directory", text("""
        import os
        for folder in "/box", "/tmp", "/dev/shm":
            try:
                os.setxattr(folder, "user.left", b"x")
            except OSError:
                pass
        """), ""),
    Attack("leave a queue in /dev/mqueue", text("""
        import os
        try:
            open("/dev/mqueue/left", "w").close()
        except OSError:
            pass
        """), ""),
    Attack("close the working directory to the next", text("""
        import os
        for folder in "/box", "/tmp", "/dev/shm":
            try:
                os.chmod(folder, 0)
            except OSError:
                pass
        """), ""),
    Attack("keep a port for the next", text("""
        import socket
        server = socket.create_server(("127.0.0.1", 4242))
        client = socket.create_connection(("127.0.0.1", 4242))
        server.accept()[0].close()  # the server's end now waits for a minute
        client.recv(1)
        """), ""),
    Attack("dump its core", "import os; os.abort()", "", ("crashed",)),
]  # fmt: skip

OUTPUT = [
    Attack("gigabytes in stdout", "import os\nwhile True: os.write(1, b'x' * 65536)",
        "x" * (64 << 10), ("output-cut",)),
    Attack("gigabytes in stderr", "import os\nwhile True: os.write(2, b'x' * 65536)", "",
        ("output-cut",)),
    Attack("gigabytes in one line of many processes",
        "import os\nos.fork(); os.fork()\nwhile True: os.write(1, b'x' * 65536)", "x" * (64 << 10),
        ("output-cut",)),
    Attack("invalid UTF-8", r"import os; os.write(1, b'a\xff\xc3b')", "a\ufffd\ufffdb"),
    Attack("control characters", r"print('\x1b[2J\x00\r\x07')", "\x1b[2J\x00\r\x07\n"),
    *(
        Attack(f"an exit code of {code}, which imitates a signal", f"raise SystemExit({code})", "",
            ("failed",))
        for code in (124, 125, 126, 127, 137, 139, 152, 255)
    ),
    Attack("say that memory failed", "print('MemoryError'); raise SystemExit(1)", "MemoryError\n",
        ("failed",)),
    *(
        Attack(f"say on stderr that memory failed, and exit with {code}", text(f"""
            import sys
            print("MemoryError", file=sys.stderr)
            raise SystemExit({code})
            """), "", ("failed",))
        for code in (1, 3)
    ),
    Attack("fail after memory failed", text("""
        import traceback
        try:
            bytearray(1 << 40)
        except MemoryError:
            traceback.print_exc()
        assert 1 == 2
        """), "", ("failed",)),
    # Where its parents are no root, it may open what they have open: it gains no more than its
    # exit code, or waits for ever at a pipe.
    Attack("write reports to every open file of its parents", text(r"""
        import os
        for pid in 1, 2, os.getppid():
            for fd in range(30):
                try:
                    pipe = os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY)
                    os.write(pipe, b"\xffexit x 9" * 999 + b"\n")
                except OSError:
                    pass
        raise SystemExit(7)
        """), None, ("failed", "crashed", "timed-out", "output-cut"), SOON),
    Attack("report its own end", text(r"""
        import os
        for pid in 1, 2, os.getppid():
            for fd in range(30):
                try:
                    os.write(os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY), b"exit 0 0.0\n")
                except OSError:
                    pass
        raise SystemExit(7)
        """), None, ("failed", "passed", "crashed", "timed-out"), SOON),
]  # fmt: skip

ATTACKS = [*NETWORK, *FILES, *PRIVILEGES, *TIME, *PROCESSES, *MEMORY, *DISK, *OUTPUT]
