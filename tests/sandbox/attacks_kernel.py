"""Hostile programs that go for the box's process 1, for what no limit counts, for what the kernel
has once for a whole host, and for rare parts of it. A second table beside `attacks.py`."""

import os
from dataclasses import replace

from attacks import LIMITS, Attack, refused, text

LIBC = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
def syscall(x86_64, aarch64, *arguments):
    number = x86_64 if os.uname().machine == "x86_64" else aarch64
    if libc.syscall(number, *map(ctypes.c_long, arguments)) == -1:
        raise OSError(ctypes.get_errno(), "")
def prctl(*arguments):
    if libc.prctl(arguments[0], *map(ctypes.c_ulong, arguments[1:])) == -1:
        raise OSError(ctypes.get_errno(), "")
def mapped(flags, size=4096):
    if libc.mmap(None, size, 3, flags, -1, 0) in (None, 2**64 - 1):
        raise OSError(ctypes.get_errno(), "")
"""


def by_libc(attempt):
    """A program that says whether an attempt through the C library ended in an error."""
    return LIBC + refused(attempt)


PROCESS_1 = [
    Attack("look into process 1", text("""
        for name in "environ maps mem auxv syscall io pagemap smaps_rollup stack".split():
            try:
                with open(f"/proc/1/{name}", "rb", 0) as stream:
                    if name != "mem":
                        stream.read(1)
                print(name)
            except OSError:
                pass
        """), ""),
    Attack("write to the memory of process 1", refused("open('/proc/1/mem', 'r+b', 0)")),
    Attack("write to it by the way of a task", refused("open('/proc/1/task/1/mem', 'r+b', 0)")),
    Attack("write to it by the way of another root",
        refused("open('/proc/self/root/proc/1/mem', 'r+b', 0)")),
    Attack("write to it relative to an open /proc", refused("""
        folder = os.open('/proc', os.O_PATH)
        os.open('1/mem', os.O_RDWR, dir_fd=folder)
        """)),
    Attack("see the executable of process 1", refused("os.readlink('/proc/1/exe')")),
    Attack("change the executable of process 1", text("""
        import os
        path = "/proc/1/exe"
        changes = [
            lambda: os.chmod(path, 0o777), lambda: os.utime(path, (1, 1)),
            lambda: os.setxattr(path, "user.x", b"1"), lambda: os.open(path, os.O_WRONLY),
            lambda: os.truncate(path, 1), lambda: os.link(path, "/box/mine"),
        ]
        for number, change in enumerate(changes):
            try:
                change()
                print(number)
            except OSError:
                pass
        """), ""),
    Attack("list the descriptors of process 1", refused("os.listdir('/proc/1/fd')")),
    Attack("list the root of process 1", refused("os.listdir('/proc/1/root')")),
    Attack("its working directory", refused("os.listdir('/proc/1/cwd')")),
    Attack("its namespaces", refused("os.readlink('/proc/1/ns/mnt')")),
    Attack("its mappings as files", refused("os.listdir('/proc/1/map_files')")),
    Attack("signal process 1", refused("os.kill(1, 10)")),
    Attack("signal it by a descriptor", refused(
        "import signal; signal.pidfd_send_signal(os.pidfd_open(1), 10)")),
    Attack("change the limits of process 1", refused(
        "resource.prlimit(1, resource.RLIMIT_CORE, (0, 0))")),
    Attack("uncover /proc/1", by_libc("syscall(166, 39, 0, 2)")),
    Attack("remove what covers /proc/1", refused("os.rmdir('/proc/1')")),
    Attack("write to the cover", refused("open('/proc/1/x', 'w')")),
]  # fmt: skip

UNCOUNTED = [
    Attack("shared memory without a file", by_libc("mapped(0x21)")),
    Attack("shared memory without a file, by the other word", by_libc("mapped(0x23)")),
    Attack("shared memory without a file, with more flags", by_libc("mapped(0x8021)")),
    Attack("huge pages", by_libc("mapped(0x40022, 2 << 20)")),
    Attack("shared huge pages", by_libc("mapped(0x40021, 2 << 20)")),
    Attack("shared memory that no process has mapped", text("""
        import mmap
        m = mmap.mmap(-1, 1200 << 20)
        for at in range(0, len(m), 16 << 20):
            m[at:at + (16 << 20)] = b"x" * (16 << 20)
            m.madvise(mmap.MADV_DONTNEED, at, 16 << 20)
        """), "", ("out-of-memory",)),
    Attack("much of it, a little at a time", text("""
        import mmap
        kept = []
        while len(kept) < 64:
            kept.append(mmap.mmap(-1, 1 << 20))
            kept[-1].madvise(mmap.MADV_DONTNEED)
        """), "", ("out-of-memory",)),
    Attack("page tables", text("""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        step, tables = 2 << 20, (600 << 20) // 4096
        start = libc.mmap(None, tables * step, 1, 0x4022, -1, 0)
        view = (ctypes.c_char * (tables * step)).from_address(start)
        for at in range(0, tables * step, step):
            view[at]
        while True:
            pass
        """), "", ("out-of-memory",), replace(LIMITS, wall_seconds=60, cpu_seconds=60)),
    Attack("the same pages many times, to keep the monitor busy", text("""
        import ctypes, os, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        file = os.open("/tmp/x", os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, 60 << 20)
        for _ in range(3):
            os.fork()
        for _ in range(150):
            libc.mmap(None, 60 << 20, 3, 0x8001, file, 0)
        time.sleep(60)
        """), "", ("out-of-memory",),
        replace(LIMITS, disk_mib=64, file_mib=64, processes=16, wall_seconds=60)),
    Attack("a futex table of any size", by_libc("prctl(78, 1, 1 << 20, 0, 0)")),
    Attack("an unknown process control", by_libc("prctl(79, 0, 0, 0, 0)")),
    Attack("rules of Landlock", by_libc("syscall(445, 445, 0, 2, 0, 0)")),
    Attack("filters of sockets", refused(
        "import ctypes; code = ctypes.create_string_buffer(b'\\6\\0\\0\\0\\0\\0\\0\\0'); "
        "import struct; program = struct.pack('@HP', 1, ctypes.addressof(code)); "
        "socket.socket().setsockopt(socket.SOL_SOCKET, 26, program)")),
    Attack("filters of groups of sockets", refused(
        "socket.socket().setsockopt(socket.SOL_SOCKET, 51, bytes(16))")),
    Attack("compiled programs of sockets", refused(
        "socket.socket().setsockopt(socket.SOL_SOCKET, 50, 3)")),
]  # fmt: skip

HOST_WIDE = [
    Attack("queued signals", text("""
        import ctypes, os, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [40])
        libc, count = ctypes.CDLL(None), 0
        while count < 5000 and libc.sigqueue(os.getpid(), 40, 0) == 0:
            count += 1
        print(count <= 1024)
        """), "True\n"),
    Attack("timers", text("""
        import ctypes
        libc, count = ctypes.CDLL(None), 0
        while count < 5000 and libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0:
            count += 1
        print(count <= 1024)
        """), "True\n"),
    Attack("terminals", refused("os.openpty()")),
    Attack("terminals, by their device", refused("os.open('/dev/ptmx', os.O_RDWR)")),
    Attack("asynchronous I/O", by_libc(
        "context = ctypes.c_ulong(); "
        "syscall(206, 0, 65536, ctypes.addressof(context))")),
    Attack("notices of what is read in a folder", refused("""
        import fcntl
        folder = os.open('/opt/python/lib', os.O_RDONLY)
        fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_ACCESS | fcntl.DN_MULTISHOT)
        """)),
    Attack("a lease on a file", refused("""
        import fcntl
        fcntl.fcntl(os.open('/opt/python/bin/python3', os.O_RDONLY), 1024, fcntl.F_RDLCK)
        """)),
    Attack("a core, for which the host may start a program",
        "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))", "(1, 1)\n"),
    Attack("write all disks of the host out", "import os, time\nfor _ in range(1000): os.sync()",
        ""),
    Attack("policy of memory nodes", by_libc("syscall(238, 237, 0, 0, 0)")),
    Attack("watch files that others open", by_libc("syscall(254, 27, 0, 0, 0)")),
]  # fmt: skip

RARE = [
    *(
        Attack(f"socket: {name}", refused(f"socket.socket({arguments})"))
        for name, arguments in {
            "multipath TCP": "socket.AF_INET, socket.SOCK_STREAM, 262",
            "UDP-Lite": "socket.AF_INET, socket.SOCK_DGRAM, 136",
            "SCTP": "socket.AF_INET, socket.SOCK_STREAM, 132",
            "SCTP by its type": "socket.AF_INET, socket.SOCK_SEQPACKET, 0",
            "DCCP": "socket.AF_INET6, 6, 33",
            "L2TP": "socket.AF_INET, socket.SOCK_DGRAM, 115",
            "raw, IPv6": "socket.AF_INET6, socket.SOCK_RAW, 58",
            **{f"netlink {n}": f"socket.AF_NETLINK, socket.SOCK_RAW, {n}"
                for n in (2, 4, 6, 9, 10, 12, 15, 16, 20)},
        }.items()
    ),
    Attack("every other family of sockets", text("""
        import socket
        for family in range(64):
            for kind in 1, 2, 3, 5:
                try:
                    socket.socket(family, kind).close()
                    print(family)
                except OSError:
                    pass
        """), "1\n1\n1\n1\n2\n2\n10\n10\n16\n16\n"),
    Attack("pairs of another family", refused("socket.socketpair(socket.AF_INET)")),
    Attack("a protocol above TCP", refused("socket.socket().setsockopt(6, 31, b'tls')")),
    Attack("line disciplines", refused("""
        import fcntl
        fcntl.ioctl(0, 0x5423, b'\\x0d\\0\\0\\0')
        """)),
    Attack("the console", refused("import fcntl; fcntl.ioctl(0, 0x541D, 0)")),
    Attack("another personality", by_libc("syscall(135, 92, 0x0400000)")),
    Attack("advice for another process", by_libc("syscall(440, 440, 0, 0, 0, 0, 0)")),
    Attack("release another's memory", by_libc("syscall(448, 448, 0, 0)")),
    Attack("secret memory", by_libc("syscall(447, 447, 0)")),
    Attack("another's descriptor", by_libc("syscall(438, 438, 0, 0, 0)")),
    Attack("attributes of a mount", by_libc("syscall(442, 442, 0, 0, 0, 0, 0)")),
    Attack("what is mounted", by_libc("syscall(457, 457, 0, 0, 0, 0)")),
    Attack("security modules", by_libc("syscall(459, 459, 0, 0, 0, 0)")),
    Attack("compare two processes", by_libc(f"syscall(312, 272, 1, {os.getpid()}, 0, 0, 0)")),
    Attack("pages into a pipe", by_libc("syscall(278, 75, 0, 0, 0, 0)")),
    Attack("a handle of a file", by_libc("syscall(303, 264, -100, 0, 0, 0, 0)")),
    Attack("quotas of a folder", by_libc("syscall(443, 443, 0, 0, 0, 0)")),
    Attack("a module's list", by_libc("syscall(176, 106, 0, 0)")),
    Attack("adjust the clock", by_libc("syscall(159, 171, 0)")),
]  # fmt: skip

KERNEL_ATTACKS = [*PROCESS_1, *UNCOUNTED, *HOST_WIDE, *RARE]
