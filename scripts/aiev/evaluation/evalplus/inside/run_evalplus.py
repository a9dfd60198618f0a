"""Runs inside the sandbox: EvalPlus's own evaluation of samples.jsonl against problems.jsonl.

settings.json -> results.json, EvalPlus's result (`eval`: task -> [status and failed tests]).
EvalPlus is unchanged but for where its result goes: solutions run as the same user as this program,
so that a result file of its own might be one that a solution wrote.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import stat
import struct
import sys
import traceback
import types

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # on every architecture
LIBC = ctypes.CDLL(None)


def without_datasets():
    """`datasets` costs a second to import; EvalPlus needs it for EvalPerf only."""
    module = types.ModuleType("datasets")
    module.load_dataset = None
    sys.modules["datasets"] = module


def evaluate(settings):
    """EvalPlus's result, as it hands it over for writing."""
    import evalplus.eval as checks
    import evalplus.evaluate as evalplus

    # EvalPlus calls this in the solution's process, just before it runs the solution. Its own limit
    # would be one of addresses, which breaks NumPy, and raise the sandbox's limit of the stack.
    checks.query_maximum_memory_bytes = lambda: before_solution(settings["memory_mib"] << 20)
    written = []
    evalplus.json = types.SimpleNamespace(dump=lambda result, file: written.append(result))
    evalplus.evaluate(
        dataset=settings["dataset"],
        samples="samples.jsonl",
        base_only=settings["base_only"],
        parallel=settings["parallel"],
        i_just_wanna_run=True,
        min_time_limit=settings["min_time_limit"],
        gt_time_limit_factor=settings["gt_time_limit_factor"],
    )
    return written[0]


def before_solution(memory):
    """Separate this process from EvalPlus's others, and limit its memory. Returns None, upon which
    EvalPlus sets no limit of its own."""
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # a solution may look at itself
    close_queues()
    # Signals and looks into other processes end at the domain's border (Linux 6.12; scopes 1 and 2
    # are abstract sockets and signals).
    scopes = struct.pack("@QQQ", 0, 0, 3)
    domain = LIBC.syscall(LANDLOCK_CREATE_RULESET, scopes, len(scopes), 0)
    if domain >= 0:
        LIBC.syscall(LANDLOCK_RESTRICT_SELF, domain, 0)
        os.close(domain)
    limit_memory(memory)


def close_queues():
    """Close the pipes to EvalPlus's other processes, over which results of other tasks come.

    Of this process's descriptors one must stay: the end of a pipe, held by nobody else, by which
    EvalPlus sees that it has ended. Of a queue both ends are here.
    """
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the folder itself, closed by now
            fd = int(name)
            found[fd] = os.fstat(fd), fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    read = {about.st_ino for about, mode in found.values() if mode == os.O_RDONLY}
    for fd, (about, mode) in found.items():
        one_way = stat.S_ISFIFO(about.st_mode) and mode == os.O_WRONLY and about.st_ino not in read
        if fd > 2 and not one_way:
            os.close(fd)


def limit_memory(limit):
    """Limit this process to `limit` bytes above its size at the fork: more is a MemoryError, which
    the evaluation survives."""
    with open("/proc/self/statm", encoding="ascii") as file:
        forked_with = int(file.read().split()[5]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or forked_with + limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (forked_with + limit,) * 2)


def end_descendants():
    """Kill what solutions left running, which could write a result of its own."""
    import psutil

    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        psutil.wait_procs(left)


def main():
    # Orphans become children of this process, and so can be found.
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no solution may read or write this process's memory
    with open("settings.json", encoding="utf-8") as file:
        settings = json.load(file)
    without_datasets()
    result = evaluate(settings)
    end_descendants()
    if os.path.lexists("results.json"):
        os.unlink("results.json")
    with open("results.json", "x", encoding="utf-8") as file:
        json.dump(result, file)
    # Python would wait for a thread of EvalPlus's that sleeps for up to 20 s.
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
    # Reached after a failure only, and for the same reason as above.
    os._exit(1)
