"""What a sandbox uses: memory and mappings of its processes, room of its sockets, inodes of files.

Read from /proc, on the host for bubblewrap and in a container by its worker, which has the standard
library only: nothing of the project is imported here when this runs.
"""

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiev.sandbox.api import Limits

MIB = 1 << 20
MAX_MAPPED = 8  # times the memory and disk of a box, as the sum of what its processes have mapped
INODES_PER_MIB = 256  # of disk: an empty file costs the kernel memory that no size limit counts
MAX_MAPPINGS = 1 << 16  # of a box: what the kernel allows one process by default
SOCKET_BYTES = 224 << 10
"""What the kernel keeps for a socket at most, TCP's apart: its buffers count for no process, and a
connection that waits to be accepted is no open file either."""


def full(folder: str, mib: int) -> bool:
    """Whether the file system there has more inodes in use than so many MiB allow."""
    about = os.statvfs(folder)
    return about.f_files - about.f_ffree > mib * INODES_PER_MIB


def over_memory(processes: list[str], limits: "Limits") -> bool:
    """Whether so many processes have more memory together than they may. processes: their folders
    in /proc.

    The first sum counts pages that processes share for each of them: cheap, but only a hint. The
    kernel walks over all pages for the second one, so that a program which maps the same pages many
    times could keep this busy: it is stopped as well.
    """
    limit, disk = limits.memory_mib * MIB, limits.disk_mib * MIB
    found = [_with_memory(process) for process in processes]
    usage = [_resident(status) for _, status in found]
    mapped, tables = sum(pages for pages, _ in usage), sum(tables for _, tables in usage)
    if mapped + tables <= limit:
        return False
    if mapped > MAX_MAPPED * (limit + 2 * disk):
        return True
    # The slack keeps one process under RLIMIT_DATA alone, which gives it a MemoryError.
    rest = limit + 32 * MIB - tables
    for folder, _ in found:
        if rest < 0:
            break
        rest -= _memory(folder)
    return rest < 0


def _with_memory(process: str) -> tuple[str, str]:
    """The folder in /proc that tells of a process's memory, and its status: that of another thread
    where the first one has ended and others go on."""
    status = _read(f"{process}/status")
    if "VmRSS" in status or not re.search(r"^Threads:\t(?:[2-9]|1\d)", status, re.M):
        return process, status
    with suppress(OSError):
        for thread in os.listdir(f"{process}/task"):
            folder = f"{process}/task/{thread}"
            if "VmRSS" in (own := _read(f"{folder}/status")):
                return folder, own
    return process, status


def _resident(status: str) -> tuple[int, int]:
    """Bytes of all pages in memory, of files too, and of the tables that lead to them."""
    found = dict(re.findall(r"^(VmRSS|VmSwap|VmPTE):\s+(\d+) kB", status, re.M))
    sizes = {name: int(size) * 1024 for name, size in found.items()}
    return sizes.get("VmRSS", 0) + sizes.get("VmSwap", 0), sizes.get("VmPTE", 0)


def _memory(folder: str) -> int:
    """Bytes of private and shared memory, a shared page divided among those who share it."""
    rollup = _read(f"{folder}/smaps_rollup")
    found = re.findall(r"^(?:Pss_Anon|Pss_Shmem|SwapPss): +(\d+) kB", rollup, re.M)
    return sum(map(int, found)) * 1024


def over_mappings(processes: list[str]) -> bool:
    """Whether so many processes have too many mappings together.

    The kernel's object for each is memory of no process, and where processes have forked each other
    a mapping has one for every forefather. Reads no more than that many lines, so that a look takes
    no longer where there are more.
    """
    left = MAX_MAPPINGS
    for process in processes:
        folder, _ = _with_memory(process)
        with suppress(OSError), open(f"{folder}/maps", "rb", 0) as stream:
            while left >= 0 and (part := stream.read(1 << 16)):
                left -= part.count(b"\n")
    return left < 0


def sockets_over(net: str, limit: int) -> bool:
    """Whether the sockets may hold more bytes than the limit. TCP's buffers grow: what waits in
    them is looked at where all of the machine hold that much."""
    stat = _read(f"{net}/sockstat")
    found = re.match(r"sockets: used (\d+)\nTCP: inuse (\d+) .* mem (\d+)\n", stat)
    used, tcp, pages = map(int, found.groups()) if found else (0, 0, 0)
    if used * SOCKET_BYTES > limit:
        return True
    return tcp > 0 and pages * 4096 > limit and _queued(net) > limit


def _queued(net: str) -> int:
    """Bytes that wait in TCP connections to be sent and to be read."""
    queues = [
        q
        for name in ("tcp", "tcp6")
        for q in re.findall(r" (\w{8}):(\w{8}) 0", _read(f"{net}/{name}"))
    ]
    return sum(int(sent, 16) + int(received, 16) for sent, received in queues)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:  # the process ended meanwhile
        return ""
