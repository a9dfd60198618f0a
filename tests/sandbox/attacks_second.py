# ruff: noqa: E501 (attempts, a line each)
"""Hostile programs of a second round, by somebody who had not written the defence.

`SECOND_ATTACKS` are programs of their own, as in `attacks.py`. `ATTEMPTS` are single calls: all run
in one box, each in a process of its own, and each must end in an error of the system.
"""

import platform
from dataclasses import replace

from attacks import LIMITS, Attack, text

LONG = replace(LIMITS, wall_seconds=30, cpu_seconds=30)

SECOND_ATTACKS = [
    Attack("memory of processes whose first thread has ended", text("""
        import ctypes, os, threading, time
        def hold():
            time.sleep(0.1)
            kept = bytearray(b"x") * (180 << 20)
            time.sleep(60)
        for _ in range(3):
            if not os.fork():
                threading.Thread(target=hold).start()
                # exit(2) of this thread alone: the process has no memory by its own name then
                ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
        time.sleep(60)
        """), "", ("out-of-memory",), LONG),
    Attack("buffers of connections that nobody accepts", text("""
        import socket
        server = socket.socket(socket.AF_UNIX)
        server.bind("\\0queue")
        server.listen(4096)
        for _ in range(4096):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("\\0queue")
                client.setblocking(False)
                try:
                    while True:
                        client.send(bytes(30000))
                except BlockingIOError:
                    pass
        print("held")
        """), "", ("out-of-memory",), LONG),
    Attack("buffers of TCP, which grow", text("""
        import socket, time
        server, kept = socket.create_server(("127.0.0.1", 0)), []
        while len(kept) < 240:
            kept += [socket.create_connection(server.getsockname()), server.accept()[0]]
            for end in kept[-2:]:
                end.setblocking(False)
                for _ in range(5):
                    try:
                        while True:
                            end.send(bytes(1000000))
                    except BlockingIOError:
                        time.sleep(0.002)
        print("held")
        """), "", ("out-of-memory",), LONG),
    Attack("memory that the kernel may drop", text("""
        import ctypes, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        address = libc.mmap(None, 600 << 20, 3, 0x28, -1, 0)  # MAP_DROPPABLE
        if address not in (None, 2 ** 64 - 1):
            ctypes.memset(address, 1, 600 << 20)
            time.sleep(60)
        """), "", ("passed", "out-of-memory"), LONG),
    Attack("huge pages of processes that are gone before they are seen", text("""
        import mmap, os, time
        end = time.time() + 60
        for _ in range(6):
            if os.fork():
                continue
            block, filled = mmap.mmap(-1, 150 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0
            block.madvise(mmap.MADV_HUGEPAGE)
            while time.time() < end:
                if filled < len(block):
                    block[filled] = 1
                    filled += 2 << 20
                if os.fork():
                    os._exit(0)
        time.sleep(60)
        """), "", ("out-of-memory",), LONG),
    Attack("memory that nobody may look at", text("""
        import ctypes, os, time
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        for _ in range(2):
            os.fork()
        kept = bytearray(b"x") * (120 << 20)
        time.sleep(60)
        """), "", ("out-of-memory",), LONG),
    Attack("end process 1 by a notice of a socket", text("""
        import fcntl, os, socket
        for signal in 9, 19, 15:
            ours, theirs = socket.socketpair()
            fcntl.fcntl(ours, 10, signal)  # F_SETSIG
            fcntl.fcntl(ours, fcntl.F_SETOWN, 1)
            fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
            theirs.send(b"x")
        print(os.path.isdir("/proc/1"))
        """), "True\n"),
    Attack("a child whose parent is process 1", text("""
        import ctypes, os, time
        number = 56 if os.uname().machine == "x86_64" else 220
        child = ctypes.CDLL(None).syscall(number, *map(ctypes.c_long, (0x8000 | 17, 0, 0, 0, 0)))
        if not child:
            os.setsid()
            time.sleep(60)
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            print("another's")
        """), "another's\n"),
    Attack("a child of process 1 that exits with another code", text("""
        import ctypes, os
        number = 56 if os.uname().machine == "x86_64" else 220
        for _ in range(20):
            if not ctypes.CDLL(None).syscall(number, *map(ctypes.c_long, (0x8000 | 17, 0, 0, 0, 0))):
                os._exit(0)
        raise SystemExit(7)
        """), "", ("failed",)),
    Attack("read its own output away", text("""
        import os
        try:
            own = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
            for _ in range(1000):
                os.write(1, b"x")
                os.read(own, 1)
        except OSError:
            pass
        """), None),
    Attack("its output in packets, and not waited for", text("""
        import fcntl, os
        fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK | os.O_DIRECT)
        written = 0
        while written < 100:
            try:
                written += os.write(1, b"x")
            except BlockingIOError:
                pass
        """), "x" * 100),
    Attack("names of the host's keys", text("""
        try:
            print(end=open("/proc/keys").read())
        except OSError:
            pass
        """), ""),
    Attack("many record locks", text("""
        import fcntl, os, time
        end, files = time.time() + 0.4, []
        while time.time() < end and len(files) < 200:
            files.append(open(f"/tmp/{len(files)}", "w"))
            for at in range(500):
                fcntl.lockf(files[-1], fcntl.LOCK_EX, 1, 1000 - 2 * at)
        """), ""),
    Attack("other interfaces by every request of sockets", text("""
        import ctypes, socket
        buffer, one = ctypes.create_string_buffer(4096), socket.socket()
        for request in range(0x8900, 0x8A00):
            ctypes.CDLL(None).ioctl(one.fileno(), ctypes.c_ulong(request), buffer)
        print(socket.if_nameindex())
        """), "[(1, 'lo')]\n"),
    Attack("a folder moved away under its feet", text("""
        import os
        os.makedirs("/tmp/a/b")
        os.chdir("/tmp/a/b")
        inside = os.open(".", os.O_RDONLY)
        os.rename("/tmp/a/b", "/tmp/b")
        os.rmdir("/tmp/a")
        os.fchdir(inside)
        for _ in range(50):
            os.chdir("..")
        print({"root", "home"} & set(os.listdir(".")))
        """), "set()\n"),
    Attack("an interpreter that reads nothing of ours", text("""
        import subprocess, sys
        code = "import resource as r; print(r.getrlimit(r.RLIMIT_DATA)[1] >> 20)"
        for words in ["-I"], ["-S", "-E"], ["-X", "frozen_modules=on", "-I", "-S"]:
            subprocess.run([sys.executable, *words, "-c", code], check=True, env={})
        """), "256\n256\n256\n"),
    Attack("a signal when it is time, after its end", text("""
        import ctypes, os, signal
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        os.execvp("sleep", ["sleep", "60"])
        """), "", ("crashed",)),
]  # fmt: skip

X86 = platform.machine() == "x86_64"
PROLOGUE = """
import ctypes, fcntl, mmap, os, resource, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(4096)
X86 = os.uname().machine == "x86_64"
def syscall(number, *arguments):
    words = [ctypes.addressof(a) if isinstance(a, ctypes.Array) else a for a in arguments]
    if libc.syscall(number, *map(ctypes.c_long, words)) == -1:
        raise OSError(ctypes.get_errno(), "")
def ioctl(fd, request, argument=0):
    if isinstance(argument, ctypes.Array):
        argument = ctypes.addressof(argument)
    if libc.ioctl(fd, ctypes.c_ulong(request), ctypes.c_long(argument)) == -1:
        raise OSError(ctypes.get_errno(), "")
def write(path, text):
    os.write(os.open(path, os.O_WRONLY), text)
"""
_NAMESPACES = {"cgroup": 1, "IPC": 2, "mount": 3, "network": 4, "process": 5, "user": 9, "UTS": 10}
_NEW = {
    "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466,
    "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469, "listns": 470,
}  # fmt: skip

ATTEMPTS = {
    # The way out
    **{f"the {kind} namespace of process 1, by its descriptor": f"ioctl(os.pidfd_open(1), 0xFF00 | {n})"
        for kind, n in _NAMESPACES.items()},
    "the parent of the process namespace": "ioctl(os.open('/proc/self/ns/pid', 0), 0xB702)",
    "the parent of the user namespace": "ioctl(os.open('/proc/self/ns/user', 0), 0xB702)",
    "the next mount namespace": "ioctl(os.open('/proc/self/ns/mnt', 0), 0x8010B70B, buffer)",
    "the mount namespace before": "ioctl(os.open('/proc/self/ns/mnt', 0), 0x8010B70C, buffer)",
    "a file without a name into a folder of the system":
        "f = os.open('/tmp', os.O_TMPFILE | os.O_RDWR); "
        "os.link(f'/proc/self/fd/{f}', '/opt/python/lib/x', follow_symlinks=True)",
    "a folder of the system moved": "os.rename('/opt/python', '/tmp/python')",
    "a user map": "write('/proc/self/uid_map', b'0 0 1')",
    "groups in a user namespace": "write('/proc/self/setgroups', b'allow')",
    "another time namespace": "write('/proc/self/timens_offsets', b'monotonic 9 9')",
    "a profile for the next program": "write('/proc/self/attr/exec', b'changeprofile x')",
    "be the last to be killed": "write('/proc/self/oom_score_adj', b'-1000')",
    "a better place in the queue": "write('/proc/self/autogroup', b'-5')",
    "be root to a peer": "ours, _ = socket.socketpair(); ours.sendmsg([b'x'], [(1, 2, "
        "struct.pack('3i', os.getpid(), 0, 0))])",
    "be process 1 to a peer": "ours, _ = socket.socketpair(); ours.sendmsg([b'x'], [(1, 2, "
        "struct.pack('3i', 1, os.getuid(), os.getgid()))])",
    # System calls that are new, or another way to old ones
    **{f"system call {name}": f"syscall({number}, 0, 0, 0, 0, 0)" for name, number in _NEW.items()},
    **({f"x32: call {n}": f"syscall({n | 1 << 30}, 0, 0, 0, 0, 0)" for n in (39, 101, 165, 520, 545)}
        if X86 else {}),
    "a process by clone3": "syscall(435, buffer, 88)",
    # Sockets and their options
    "a firewall's rules": "socket.socket().setsockopt(0, 64, bytes(84))",
    "a firewall's rules, IPv6": "socket.socket(10).setsockopt(41, 64, bytes(84))",
    "rules of ARP": "socket.socket().setsockopt(0, 96, bytes(96))",
    "a mark for routing": "socket.socket().setsockopt(1, 36, 1)",
    "a connection's inner state": "socket.socket().setsockopt(6, 19, 1)",
    "a flow label, of which the host has 4096": "socket.socket(10).setsockopt(41, 32, struct.pack("
        "'16sIBBHHHI', socket.inet_pton(10, '::1'), 0, 0, 255, 1, 0, 0, 0))",
    "locked memory in place of copies": "socket.socket().setsockopt(1, 60, 1)",
    **{f"the module of {name}": f"ioctl(socket.socket().fileno(), {n}, buffer)" for name, n in {
        "bridges": 0x8940, "bridges, another way": 0x8941, "a bridge": 0x89A0,
        "DLCI": 0x8980, "VLANs": 0x8982, "a VLAN": 0x8983}.items()},
    # Files and devices
    "seals on a file": "fcntl.fcntl(os.open('/tmp/s', os.O_RDWR | os.O_CREAT), 1033, 1)",
    "a hint to the host's disk": "fcntl.fcntl(os.open('/opt/python/bin/python3', 0), 1036, "
        "struct.pack('Q', 2))",
    "flags of a host's file": "fcntl.ioctl(os.open('/opt/python/bin/python3', 0), 0x40086602, bytes(8))",
    "freeze a file system": "fcntl.ioctl(os.open('/usr/bin', 0), 0xC0045877, 0)",
    "trim a disk": "fcntl.ioctl(os.open('/usr/bin', 0), 0xC0185879, bytes(24))",
    "shut a file system down": "fcntl.ioctl(os.open('/usr/bin', 0), 0x8004587D, bytes(4))",
    "where a file lies on the disk": "fcntl.ioctl(os.open('/opt/python/bin/python3', 0), 1, bytes(4))",
    **{f"the random generator, request {n:#x}": f"ioctl(os.open('/dev/random', 2), {n}, buffer)"
        for n in (0x40045201, 0x40085203, 0x5204, 0x5206, 0x5207)},
    "poison a page": "m = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m.madvise(100)",
    "a timer that wakes the machine": "syscall(283 if os.uname().machine == 'x86_64' else 85, 8, 0)",
    "limits of another process": "resource.prlimit(1, resource.RLIMIT_NOFILE)",
    "its list of robust locks": "syscall(274 if os.uname().machine == 'x86_64' else 100, 1, buffer, "
        "buffer)",
}  # fmt: skip


def attempts_program(attempts: dict[str, str]) -> str:
    """A program that makes these attempts and prints the names of those that were not refused."""
    return PROLOGUE + text(f"""
        for name, code in {attempts!r}.items():
            if not os.fork():
                try:
                    exec(code)
                    os.write(1, f"{{name}}: done\\n".encode())
                except OSError:
                    pass
                except BaseException as error:
                    os.write(1, f"{{name}}: {{error!r}}\\n".encode())
                os._exit(0)
            status = os.wait()[1]
            if status not in (0, signal.SIGSYS):  # an engine's filter ends a process of x32
                print(name, "ended with", status, flush=True)
        """)
