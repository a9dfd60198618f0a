"""The system call filter: calls that no program in the sandbox may make, for both backends.

bubblewrap takes the filter as a program for the kernel's classic BPF machine (`bpf_program`), a
container engine as a JSON profile (`docker_profile`). All that is not in the table is allowed:
namespaces, an ordinary user and limits do the rest. The table holds what gives a hostile program
more of the kernel than it can need (tracing, namespaces, mounts, keys, BPF, io_uring), memory that
no limit counts (memfd, larger buffers), what is scarce for all boxes of a user together (inotify),
and what would outlive it in a warm container (System V and POSIX message queues).

Numbers: Linux 6.12, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
The filter's form: Documentation/userspace-api/seccomp_filter.rst.
"""

import os
import struct
from typing import Any

from aiev.core.errors import UserError

EPERM, ENOSYS = 1, 38
DENIED = {  # name: number on x86_64, on aarch64; None where there is no such call
    "_sysctl": (156, None),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
    "vmsplice": (278, 75),
}
LAST_KNOWN = 462  # mseal: newer calls do not exist, as on an older kernel
NUMBERS = {  # of calls whose arguments are checked
    "clone": (56, 220),
    "clone3": (435, 435),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "setsockopt": (54, 208),
    "socket": (41, 198),
    "socketpair": (53, 199),
}
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, for clone's flags."""

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: all others (packets, hypervisor, Bluetooth, crypto,
and rarer ones) reach parts of the kernel that see little testing."""

TERMINAL_WRITES = (0x5412, 0x541C)
"""TIOCSTI types into a terminal, TIOCLINUX drives the console."""

SET_PIPE_SIZE = 1031
SOL_SOCKET = 1
BUFFERS = (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE and SO_RCVBUFFORCE: the kernel's buffers count for no
process, so they keep the sizes that they are made with."""

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _ABOVE = 0x15, 0x25


def denied(machine: str) -> dict[str, int]:
    """Numbers of the denied calls by name. Raises UserError for a machine without a table."""
    if machine not in MACHINES:
        raise UserError(
            f"the sandbox has no system call filter for {machine}",
            hint=f"run on {' or '.join(MACHINES)}",
        )
    column = list(MACHINES).index(machine)
    return {name: n[column] for name, n in DENIED.items() if n[column] is not None}


def bpf_program(machine: str = "") -> bytes:
    """The filter as an array of `struct sock_filter`, for `bwrap --seccomp` or prctl(2)."""
    machine = machine or os.uname().machine
    refused = sorted(denied(machine).values())
    column = list(MACHINES).index(machine)
    number = {name: numbers[column] for name, numbers in NUMBERS.items()}
    program = [
        _do(_LOAD, _ARCH),
        _jump(_EQUAL, MACHINES[machine], 1, 0),
        _do(_RETURN, _KILL),
        _do(_LOAD, _NUMBER),
        # Numbers from X32 on are another set of the same calls, and are above the last known too.
        _jump(_ABOVE, LAST_KNOWN, 0, 1),
        _do(_RETURN, _ERROR | ENOSYS),
        # With ENOSYS the C library takes clone, whose flags can be looked at.
        *_when(number["clone3"], [_do(_RETURN, _ERROR | ENOSYS)]),
    ]
    for call in refused:
        program += _when(call, [_do(_RETURN, _ERROR | EPERM)])
    program += _when(
        number["clone"],
        [_do(_LOAD, _ARGUMENTS), _do(_AND, NEW_NAMESPACES), _jump(_EQUAL, 0, 1, 0), *_refuse()],
    )
    for name in ("socket", "socketpair"):
        known = [_jump(_EQUAL, family, len(FAMILIES) - i, 0) for i, family in enumerate(FAMILIES)]
        program += _when(number[name], [_do(_LOAD, _ARGUMENTS), *known, *_refuse()])
    second, third = _do(_LOAD, _ARGUMENTS + 8), _do(_LOAD, _ARGUMENTS + 16)
    program += _when(number["ioctl"], [second, *_refuse_one_of(TERMINAL_WRITES)])
    program += _when(number["fcntl"], [second, *_refuse_one_of((SET_PIPE_SIZE,))])
    sizes = [third, *_refuse_one_of(BUFFERS)]
    of_sockets = _jump(_EQUAL, SOL_SOCKET, 0, len(sizes))
    program += _when(number["setsockopt"], [second, of_sockets, *sizes])
    return b"".join([*program, _do(_RETURN, _ALLOW)])


def _when(call: int, then: list[bytes]) -> list[bytes]:
    """Apply `then` to the call of that number; a call that it does not refuse is allowed."""
    return [_jump(_EQUAL, call, 0, len(then) + 1), *then, _do(_RETURN, _ALLOW)]


def _refuse() -> list[bytes]:
    return [_do(_RETURN, _ERROR | EPERM)]


def _refuse_one_of(values: tuple[int, ...]) -> list[bytes]:
    """Refuse the call if the loaded argument is one of these."""
    last = len(values) - 1
    same = [_jump(_EQUAL, value, last - i, i == last) for i, value in enumerate(values)]
    return [*same, *_refuse()]


def _do(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def docker_profile() -> dict[str, Any]:
    """The same table as an engine's profile, for the whole container: the worker obeys it too.

    A profile cannot name calls that are newer than the table; `worker.py` also puts `bpf_program`
    on each program.
    """
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": sorted(DENIED), "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        ],
    }
