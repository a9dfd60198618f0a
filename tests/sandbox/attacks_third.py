# ruff: noqa: E501 (attempts, a line each)
"""Hostile programs of a third round: what the first two had not tried, or tried in another way.

`THIRD_ATTACKS` are programs of their own, as in `attacks.py`; `THIRD_ATTEMPTS` are single calls, as
in `attacks_second.py`.
"""

from attacks import SOON, Attack, refused, text
from attacks_kernel import LIBC
from attacks_second import LONG

FILTER = """
code = ctypes.create_string_buffer(b"\\x06\\0\\0\\0\\0\\0\\xff\\x7f")  # allow
program = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(code)))
"""

THIRD_ATTACKS = [
    Attack("access control lists, of 64 KiB for each file", refused("""
        import struct
        entries = (1, 6, -1), *[(2, 6, os.getuid())] * 8000, (4, 6, -1), (16, 6, -1), (32, 6, -1)
        value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
        os.mkdir("/tmp/own")
        os.setxattr("/tmp/own", "system.posix_acl_default", value)
        """)),
    Attack("a byte of each page of a file into a socket, and the file cut", text("""
        import os, socket
        kept, ways = [], set()
        for step in os.splice, lambda a, b, n, at: os.sendfile(b, a, at, n):
            file = os.open("/tmp/x", os.O_RDWR | os.O_CREAT)
            os.write(file, bytes(1 << 20))
            (reader, writer), ends = os.pipe(), socket.socketpair()
            try:
                step(file, writer if step is os.splice else ends[0].fileno(), 1, 4096)
                ways.add(step)
            except OSError:
                pass
        print(len(ways), "ways")
        """), "0 ways\n"),
    Attack("mappings that each have an object for every forefather", text("""
        import ctypes, os, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        start = libc.mmap(None, 3000 * 8192, 3, 0x22, -1, 0)
        for at in range(start, start + 3000 * 8192, 8192):
            ctypes.memset(at, 1, 1)
            libc.mprotect(at + 4096, 4096, 1)
        try:
            while not os.fork():
                pass
        except OSError:
            pass
        time.sleep(60)
        """), "", ("out-of-memory",), LONG),
    Attack("write files of the host out to its disk, again and again", text("""
        import os
        for path in "/opt/python/bin/python3", "/usr/bin", "/opt/python/lib":
            file = os.open(path, os.O_RDONLY)
            for _ in range(3000):
                os.fsync(file)
                os.fdatasync(file)
        """), ""),
    Attack("protocols for which the host would start modprobe", text("""
        import errno, socket
        for family in socket.AF_INET, socket.AF_INET6:
            for kind, own in (socket.SOCK_STREAM, 6), (socket.SOCK_DGRAM, 17):
                for protocol in {1, 6, 17, 58} - {own}:
                    try:
                        socket.socket(family, kind, protocol)
                    except OSError as error:
                        if error.errno not in (errno.EPERM, errno.EACCES):
                            print(family, kind, protocol, error)
        """), ""),
    Attack("filters of system calls, which outlive their process", LIBC + "import struct\n" + FILTER + text("""
        for flags in 0, 8:  # 8: with a descriptor of it
            try:
                syscall(317, 277, 1, flags, ctypes.addressof(program))
                print("done")
            except OSError as error:
                print(error.errno == errno.EPERM)
        """), "True\nTrue\n"),
    Attack("change a file of the host through its own memory", text("""
        import ctypes, hashlib, os
        path = os.__file__
        def digest():
            return hashlib.sha256(open(path, "rb").read()).digest()
        before, file = digest(), open(path, "rb")
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        address = libc.mmap(None, 4096, 1, 2, file.fileno(), 0)  # to be read, and its own
        with open("/proc/self/mem", "r+b", 0) as memory:
            memory.seek(address)
            memory.write(b"x" * 4096)
        print(ctypes.string_at(address, 3), digest() == before)
        """), "b'xxx' True\n"),
    Attack("memory that grows downwards, which no limit on data counts", text("""
        import ctypes, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        ctypes.memset(libc.mmap(None, 600 << 20, 3, 0x122, -1, 0), 1, 600 << 20)
        time.sleep(60)
        """), "", ("out-of-memory", "crashed"), LONG),
    Attack("a few bytes that become a thousand times as many", text("""
        import zlib
        packed = zlib.compress(zlib.compress(bytes(1 << 20)) * 200)
        kept = []
        while True:
            kept.append(zlib.decompress(packed) * 1000)
        """), "", ("out-of-memory",), LONG),
    Attack("a child that stops, and its parent waits for it in the kernel", text("""
        import ctypes, os, signal
        child = ctypes.CDLL(None).vfork()
        if not child:
            os.kill(os.getpid(), signal.SIGSTOP)
        """), "", ("timed-out",), SOON),
    Attack("tools of the system that change it", text("""
        import shutil, subprocess
        for words in (
            "unshare -r true", "unshare -n true", "nsenter -t 1 -a true", "mount -t tmpfs x /tmp",
            "umount /proc", "su -c true", "sudo -n true", "chroot / true", "mknod /tmp/x b 8 0",
            "hostname x", "sysctl -w kernel.hostname=x", "dmesg", "setpriv --reuid 0 true",
            "ip link set lo down", "losetup -f", "date -s 2000-01-01", "insmod x", "gdb -p 1 -batch",
            "pkexec true", "strace -p 1",
        ):
            if shutil.which(words.split()[0]):
                done = subprocess.run(words.split(), capture_output=True, timeout=9)
                if not done.returncode:
                    print(words)
        """), ""),
    Attack("a filter of system calls, the old way", LIBC + "import struct\n" + FILTER + refused(
        "prctl(22, 2, ctypes.addressof(program), 0, 0)")),
]  # fmt: skip

MD5_KEY = (
    "struct.pack('HH4s120s', 2, 0, socket.inet_aton('127.0.0.1'), b'') + "
    "struct.pack('BBHi80s', 0, 32, 4, 0, b'key!')"
)
THIRD_ATTEMPTS = {
    # What would make process 1 slow to end
    "process 1 behind all others": "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
    "process 1 at a low priority": "os.setpriority(os.PRIO_PROCESS, 1, 19)",
    "all of the user's processes at a low priority": "os.setpriority(os.PRIO_USER, 0, 19)",
    "process 1 on a busy core": "os.sched_setaffinity(1, {0})",
    "parameters of process 1": "os.sched_setparam(1, os.sched_param(0))",
    "attributes of process 1": "syscall(314 if X86 else 274, 1, buffer, 0)",
    "disk priority of process 1": "syscall(251 if X86 else 30, 1, 1, 3 << 13)",
    "disk priority of all of the user's processes": "syscall(251 if X86 else 30, 3, os.getuid(), 3 << 13)",
    # Priority over others
    "a better priority": "os.setpriority(os.PRIO_PROCESS, 0, -5)",
    "real-time disk access": "syscall(251 if X86 else 30, 1, 0, 1 << 13)",
    "deadlines": "attr = ctypes.create_string_buffer(struct.pack('IIQiIQQQ', 48, 6, 0, 0, 0, 10 ** 6, 10 ** 7, 10 ** 7)); "
        "syscall(314 if X86 else 274, 0, attr, 0)",
    # Files
    "room behind the end of a file": "f = os.open('/tmp/room', os.O_RDWR | os.O_CREAT); syscall(285 if X86 else 47, f, 1, 0, 1 << 30)",
    "a lock on a part of a host's file, for writing": "fcntl.lockf(os.open(os.__file__, 0), fcntl.LOCK_EX | fcntl.LOCK_NB)",
    "arguments of 16 MiB": "os.execve('/usr/bin/true', ['x' * 100_000] * 160, {})",
    # Sockets
    "keys of TCP": f"socket.socket().setsockopt(6, 14, {MD5_KEY})",
    "keys of TCP, another way": f"socket.socket().setsockopt(6, 32, {MD5_KEY})",
    "ciphers of TCP": "socket.socket().setsockopt(6, 38, bytes(288))",
}  # fmt: skip
