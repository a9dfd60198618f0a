"""The system call filter, for both backends: allows the calls of `calls.py` and refuses all others.

bubblewrap takes the filter as a program for the kernel's classic BPF machine (`bpf_program`), a
container engine as a JSON profile (`docker_profile`). Some calls are allowed with some arguments
only: what makes namespaces, rare sockets, memory that no limit counts, larger buffers, and what
reaches into the host's files by a descriptor (leases, notices) is refused.

The filter's form: Documentation/userspace-api/seccomp_filter.rst.
"""

import os
import struct
from typing import Any

from aiev.core.errors import UserError
from aiev.sandbox.calls import ALLOWED, CHECKED, LAST_KNOWN, MACHINES, of_machine

EPERM, ENOMEM, EINVAL, ENOSYS, ENOTSUP = 1, 12, 22, 38, 95
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, for clone's flags."""

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
"""Address families that are allowed: all others (packets, hypervisor, Bluetooth, crypto, and rarer
ones) reach parts of the kernel that see little testing."""

STREAM, DATAGRAM = 1, 2
STREAM_PROTOCOLS = (0, 6)  # by the type, TCP
DATAGRAM_PROTOCOLS = {INET: (0, 17, 1), INET6: (0, 17, 58)}  # by the type, UDP, ICMP
"""For another pair of type and protocol the kernel has the host start modprobe, for any user."""

TERMINAL_CONTROL = (0x5412, 0x541C, 0x541D, 0x5423)
"""TIOCSTI types into a terminal, TIOCLINUX and TIOCCONS reach the console, TIOCSETD loads a line
discipline."""

NETWORK_CONTROL = (0x8940, 0x8941, 0x8980, 0x8981, 0x8982, 0x8983, 0x89A0, 0x89A1)
"""Of bridges, DLCI and VLANs: the kernel loads their modules for anybody who asks."""

FILE_CONTROL = (1024, 1026, 1031)
"""F_SETLEASE and F_NOTIFY act on the host's files, F_SETPIPE_SZ makes memory that no limit
counts."""

SOL_SOCKET, TCP, IPV6 = 1, 6, 41
SOCKET_OPTIONS = (7, 8, 32, 33, 26, 50, 51, 52, 60)
"""SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE and SO_RCVBUFFORCE: the kernel's buffers count for no
process, so they keep the sizes that they are made with. SO_ATTACH_FILTER, SO_ATTACH_BPF and their
REUSEPORT forms: compiled filters have one limit for the whole host. SO_ZEROCOPY: the memory that it
locks counts for the user."""

TCP_OPTIONS = (14, 31, 32, 38)
"""TCP_ULP loads a module. Keys of TCP_MD5SIG, TCP_MD5SIG_EXT and TCP_AO_ADD_KEY load ciphers, and
switch a check on in every connection of the host."""

IPV6_OPTIONS = (32,)  # IPV6_FLOWLABEL_MGR: the host has 4096 labels
SHARED_ANONYMOUS, HUGE_PAGES = 0x21, 0x40000
"""MAP_SHARED with MAP_ANONYMOUS, and MAP_HUGETLB: both are refused, as a memory limit would miss
their pages. Shared memory without a file stays when no process maps it any more, and huge pages are
counted for no process. Python's `mmap` uses a file instead (`bootstrap.py`)."""

LAST_PROCESS_CONTROL = 77  # of prctl; 78 makes futex tables of any size in the kernel's memory
PROCESS_CONTROL = (0x53564D41, 0x59616D61)  # PR_SET_VMA, PR_SET_PTRACER
NO_PROCESS_CONTROL = (22, 62)
"""PR_SET_SECCOMP: a filter takes up to 160 KiB that count for nobody, outlives its process where a
descriptor of it is kept, and is compiled within one limit for the whole host. PR_SCHED_CORE keeps
others from a core."""

PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
"""Values of personality(2) that are allowed: the default, PER_LINUX32 and UNAME26 (older names of
the machine and its kernel) alone and together, ADDR_NO_RANDOMIZE, a query of the current value."""

PRIORITY_OF_USER, IO_PRIORITY_OF_USER = 2, 3
"""Act on all processes of the user, of which process 1 is one where no root is."""

_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _ABOVE = 0x15, 0x25


def allowed(machine: str) -> dict[str, int]:
    """Numbers of the calls that are always allowed, by name. Raises UserError for a machine without
    a table."""
    if machine not in MACHINES:
        raise UserError(
            f"the sandbox has no system call filter for {machine}",
            hint=f"run on {' or '.join(MACHINES)}",
        )
    return of_machine(ALLOWED, machine)


def bpf_program(machine: str = "") -> bytes:
    """The filter as an array of `struct sock_filter`, for `bwrap --seccomp` or prctl(2)."""
    machine = machine or os.uname().machine
    numbers = allowed(machine).values()
    program = [
        _do(_LOAD, _ARCH),
        _jump(_EQUAL, MACHINES[machine], 1, 0),
        _do(_RETURN, _KILL),
        _do(_LOAD, _NUMBER),
        # Numbers from X32 on are another set of the same calls, and are above the last known too.
        _jump(_ABOVE, LAST_KNOWN, 0, 1),
        _do(_RETURN, _ERROR | ENOSYS),
    ]
    for name, number in of_machine(CHECKED, machine).items():
        program += _when(number, _RULES[name])
    for first, last in _ranges(numbers):
        program += [_jump(_ABOVE, last, 3, 0)]
        program += [_jump(_ABOVE, first - 1, 0, 1)] if first else [_jump(_ABOVE, last, 0, 0)]
        program += [_do(_RETURN, _ALLOW), *_refuse()]
    return b"".join([*program, *_refuse()])


def _ranges(numbers) -> list[tuple[int, int]]:
    """The numbers as (first, last) of each run without a gap, in order."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _do(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(value: int, then: list[bytes]) -> list[bytes]:
    """Apply `then`, which ends in an answer, where the loaded number is that value."""
    return [_jump(_EQUAL, value, 0, len(then)), *then]


def _allow() -> list[bytes]:
    return [_do(_RETURN, _ALLOW)]


def _refuse(error: int = EPERM) -> list[bytes]:
    return [_do(_RETURN, _ERROR | error)]


def _argument(index: int) -> bytes:
    """Load the low half of an argument: the kernel reads no more of those that are looked at."""
    return _do(_LOAD, _ARGUMENTS + 8 * index)


def _only(values: tuple[int, ...]) -> list[bytes]:
    """Go on if the loaded argument is one of these, refuse the call otherwise."""
    return [*(_jump(_EQUAL, v, len(values) - i, 0) for i, v in enumerate(values)), *_refuse()]


def _none_of(values: tuple[int, ...]) -> list[bytes]:
    """Refuse the call if the loaded argument is one of these, go on otherwise."""
    last = len(values) - 1
    same = [_jump(_EQUAL, value, last - i, i == last) for i, value in enumerate(values)]
    return [*same, *_refuse()]


def _internet_socket(family: int) -> list[bytes]:
    kinds = ((STREAM, STREAM_PROTOCOLS), (DATAGRAM, DATAGRAM_PROTOCOLS[family]))
    answers = [(kind, [_argument(2), *_only(protocols), *_allow()]) for kind, protocols in kinds]
    rules = (_when(kind, answer) for kind, answer in answers)
    return [_argument(1), _do(_AND, 0xF), *(word for rule in rules for word in rule), *_refuse()]


def _not_process_1(index: int) -> list[bytes]:
    """Refuse what would act on the box's process 1, which is ours."""
    return [_argument(index), *_none_of((1,)), *_allow()]


_SCHEDULING = ("affinity", "attr", "param", "scheduler")
_RULES: dict[str, list[bytes]] = {
    "clone": [_argument(0), _do(_AND, NEW_NAMESPACES), *_only((0,)), *_allow()],
    "clone3": _refuse(ENOSYS),  # then the C library takes clone, whose flags can be looked at
    "fcntl": [_argument(1), *_none_of(FILE_CONTROL), *_allow()],
    "ioctl": [_argument(1), *_none_of((*TERMINAL_CONTROL, *NETWORK_CONTROL)), *_allow()],
    "mmap": [
        *(_argument(3), _do(_AND, SHARED_ANONYMOUS)),
        *_when(SHARED_ANONYMOUS, _refuse(ENOMEM)),
        *(_argument(3), _do(_AND, HUGE_PAGES)),
        *_when(HUGE_PAGES, _refuse(ENOMEM)),
        *_allow(),
    ],
    "personality": [_argument(0), *_only(PERSONALITIES), *_allow()],
    "prctl": [
        *(_argument(0), *_none_of(NO_PROCESS_CONTROL)),
        *(word for value in PROCESS_CONTROL for word in _when(value, _allow())),
        _jump(_ABOVE, LAST_PROCESS_CONTROL, 0, 1),
        *_refuse(),
        *_allow(),
    ],
    "prlimit64": _not_process_1(0),
    # Process 1 has to be quick, or a box could not be ended in time.
    **{f"sched_set{name}": _not_process_1(0) for name in _SCHEDULING},
    "setpriority": [_argument(0), *_none_of((PRIORITY_OF_USER,)), *_not_process_1(1)],
    "ioprio_set": [_argument(0), *_none_of((IO_PRIORITY_OF_USER,)), *_not_process_1(1)],
    "setsockopt": [
        _argument(1),
        *_when(SOL_SOCKET, [_argument(2), *_none_of(SOCKET_OPTIONS), *_allow()]),
        *_when(TCP, [_argument(2), *_none_of(TCP_OPTIONS), *_allow()]),
        *_when(IPV6, [_argument(2), *_none_of(IPV6_OPTIONS), *_allow()]),
        *_allow(),
    ],
    "socket": [
        _argument(0),
        *_when(UNIX, [_argument(2), *_only((0, 1)), *_allow()]),
        *_when(INET, _internet_socket(INET)),
        *_when(INET6, _internet_socket(INET6)),
        *_when(NETLINK, [_argument(2), *_only((0,)), *_allow()]),  # interfaces and addresses
        *_refuse(),
    ],
    "socketpair": [_argument(0), *_only((UNIX,)), _argument(2), *_only((0, 1)), *_allow()],
    # Nothing of a box is on a disk: what it waits for is done, and others' disks stay in peace.
    **{name: _refuse(0) for name in ("sync", "syncfs", "fsync", "fdatasync", "sync_file_range")},
    # A byte of a page in a pipe or socket keeps all of the page, of a file that is gone too, and
    # counts as one byte. Programs copy by themselves where the kernel does not.
    **{name: _refuse(EINVAL) for name in ("sendfile", "splice", "tee")},
    # An access control list of 64 KiB counts for nobody, and each file may have one.
    **{name: _refuse(ENOTSUP) for name in ("setxattr", "lsetxattr", "fsetxattr")},
}
"""What is done with each call of `CHECKED`: instructions that end in an answer."""


def docker_profile() -> dict[str, Any]:
    """The same calls as an engine's profile, for the whole container: the worker obeys it too.

    Arguments are left to `bpf_program`, which `worker.py` puts on each program, but for the flags
    of clone: the worker makes no namespaces either.
    """
    flags = {"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    names = sorted({*ALLOWED, *CHECKED} - {"clone", "clone3"})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "syscalls": [
            {"names": names, "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [flags]},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        ],
    }
