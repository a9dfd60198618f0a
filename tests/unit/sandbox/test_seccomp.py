"""The system call filter, run by a small machine of its own and by the kernel."""

import json
import os
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from needs import unavailable

from aiev.core.errors import UserError
from aiev.sandbox.api import Request, open_sandbox
from aiev.sandbox.calls import ALLOWED, CHECKED, LAST_KNOWN, MACHINES, of_machine
from aiev.sandbox.seccomp import allowed, bpf_program, docker_profile

ALLOW, EPERM, ENOMEM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x0005000C, 0x00050026, 0x80000000
DONE, EINVAL, ENOTSUP = 0x00050000, 0x00050016, 0x0005005F
NEVER = [
    "acct", "add_key", "bpf", "chroot", "clock_settime", "delete_module", "fanotify_init",
    "finit_module", "fsconfig", "fsmount", "fsopen", "init_module", "inotify_init1", "io_setup",
    "io_uring_setup", "kcmp", "kexec_load", "keyctl", "landlock_add_rule", "lookup_dcookie",
    "mbind", "memfd_create", "memfd_secret", "mount", "mount_setattr", "move_mount",
    "move_pages", "mq_open", "msgget", "name_to_handle_at", "open_by_handle_at", "open_tree",
    "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv",
    "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "seccomp", "semget",
    "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "shmget",
    "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup", "vmsplice",
]  # fmt: skip
"""What no program may call: a table of its own, so that an edit of the other one is seen."""
machines = pytest.mark.parametrize("machine", MACHINES)


def answer(program: bytes, number: int, arguments=(), arch: int = 0xC000003E) -> int:
    """What the program says of a call: classic BPF, as far as filters use it."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    code = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        what, if_true, if_false, operand = code[at]
        at += 1
        if what == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        elif what == 0x54:
            value &= operand
        elif what == 0x15:
            at += if_true if value == operand else if_false
        elif what == 0x25:
            at += if_true if value > operand else if_false
        elif what == 0x06:
            return operand
        else:
            raise AssertionError(f"an instruction that nobody wrote: {what:#x}")


def ask(machine, name, *arguments):
    number = of_machine(CHECKED, machine)[name]
    return answer(bpf_program(machine), number, arguments, MACHINES[machine])


@machines
def test_the_calls_of_the_table_are_allowed_and_no_others(machine):
    program, free = bpf_program(machine), set(allowed(machine).values())
    looked_into = set(of_machine(CHECKED, machine).values())
    for number in set(range(LAST_KNOWN + 1)) - looked_into:
        expected = ALLOW if number in free else EPERM
        assert answer(program, number, (), MACHINES[machine]) == expected, number


def test_what_no_program_may_call_is_in_no_table():
    profile = docker_profile()
    (by_name, clone, clone3) = profile["syscalls"]
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert set(by_name["names"]) == {*ALLOWED, *CHECKED} - {"clone", "clone3"}
    assert not {*NEVER} & {*ALLOWED, *CHECKED}
    assert clone["args"][0]["value"] == 0x7E020000 and clone3["errnoRet"] == 38


@machines
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_every_call_has_an_answer(machine, number, arguments):
    said = answer(bpf_program(machine), number, arguments, MACHINES[machine])
    if number > LAST_KNOWN:
        assert said == ENOSYS
    elif number in allowed(machine).values():
        assert said == ALLOW
    elif number not in of_machine(CHECKED, machine).values():
        assert said == EPERM


@given(st.integers(0, 2**32 - 1).filter(lambda arch: arch not in MACHINES.values()))
def test_calls_of_another_architecture_end_the_process(arch):
    assert answer(bpf_program("x86_64"), 0, (), arch) == KILL


NAMESPACES = (0x20000, *(1 << bit for bit in range(25, 31)))
SOCKETS = {
    (1, 1, 0),
    (1, 5, 1),
    (2, 1, 0),
    (2, 2, 17),
    (2, 0x80802, 1),
    (10, 1, 6),
    (10, 2, 58),
    (16, 3, 0),
}
TABLE = [  # name, arguments, answer
    ("clone3", (), ENOSYS),
    ("clone", (0x003D0F00,), ALLOW),  # a thread
    ("clone", (0x01200011,), ALLOW),  # a fork
    *(("clone", (flag | 0x11,), EPERM) for flag in NAMESPACES),
    *(("socket", call, ALLOW) for call in SOCKETS),
    *(("socket", (family, 1, 0), EPERM) for family in {*range(64)} - {1, 2, 10, 16}),
    *(("socket", (2, kind, 0), EPERM) for kind in (3, 4, 5, 6, 10)),
    *(("socket", (10, 0x80801, protocol), EPERM) for protocol in (33, 115, 132, 136, 255, 262)),
    *(("socket", (16, 3, protocol), EPERM) for protocol in range(1, 23)),
    *(("socket", (2, 1, protocol), EPERM) for protocol in (1, 17, 58)),
    *(("socket", (10, 2, protocol), EPERM) for protocol in (1, 6)),
    ("socketpair", (1, 1, 0), ALLOW),
    ("socketpair", (2, 1, 0), EPERM),
    ("socketpair", (16, 3, 0), EPERM),
    *(("ioctl", (0, request), EPERM) for request in (0x5412, 0x541C, 0x541D, 0x5423)),
    ("ioctl", (0, 0xFFFFFFFF_00005412), EPERM),  # the kernel reads 32 bits
    ("ioctl", (0, 0x5413), ALLOW),
    *(("fcntl", (0, command), EPERM) for command in (1024, 1026, 1031)),
    *(("fcntl", (0, command), ALLOW) for command in (0, 1, 6, 1025, 1030, 1032)),
    *(("setsockopt", (0, 1, n), EPERM) for n in (7, 8, 32, 33, 26, 50, 51, 52)),
    *(("setsockopt", (0, 1, n), ALLOW) for n in (2, 9, 20, 27)),
    ("setsockopt", (0, 0xFFFFFFFF_00000001, 0xFFFFFFFF_00000007), EPERM),
    *(("setsockopt", (0, 6, n), EPERM) for n in (14, 31, 32, 38)),
    ("setsockopt", (0, 6, 1), ALLOW),
    ("setsockopt", (0, 0, 31), ALLOW),
    ("mmap", (0, 4096, 3, 0x21), ENOMEM),  # shared, without a file
    ("mmap", (0, 4096, 3, 0x8021), ENOMEM),
    ("mmap", (0, 4096, 3, 0x22), ALLOW),
    ("mmap", (0, 4096, 3, 0x01), ALLOW),
    ("mmap", (0, 4096, 3, 0x40022), ENOMEM),  # huge pages
    *(("prctl", (n,), ALLOW) for n in (1, 4, 15, 23, 38, 77, 0x53564D41, 0x59616D61)),
    *(("prctl", (n,), EPERM) for n in (22, 62, 78, 79, 1000, 0x53564D42, 2**32 - 1)),
    *(("personality", (n,), ALLOW) for n in (0, 0x40000, 0xFFFFFFFF)),
    *(("personality", (n,), EPERM) for n in (0x400000, 0x8000000)),
    ("prlimit64", (0,), ALLOW),
    ("prlimit64", (2,), ALLOW),
    ("prlimit64", (1,), EPERM),
    *((f"sched_set{name}", (0,), ALLOW) for name in ("affinity", "attr", "param", "scheduler")),
    *((f"sched_set{name}", (1,), EPERM) for name in ("affinity", "attr", "param", "scheduler")),
    *((name, (which, 2), ALLOW) for name in ("setpriority", "ioprio_set") for which in (0, 1)),
    *((name, (1, 1), EPERM) for name in ("setpriority", "ioprio_set")),
    *((name, (which, 0), EPERM) for name, which in (("setpriority", 2), ("ioprio_set", 3))),
    *((name, (3,), DONE) for name in ("sync", "syncfs", "fsync", "fdatasync", "sync_file_range")),
    *((name, (3, 4), EINVAL) for name in ("sendfile", "splice", "tee")),
    *((name, (3, 4), ENOTSUP) for name in ("setxattr", "lsetxattr", "fsetxattr")),
]


@machines
def test_calls_that_are_looked_into(machine):
    assert {name for name, *_ in TABLE} == set(CHECKED)
    for name, arguments, expected in TABLE:
        assert ask(machine, name, *arguments) == expected, (name, arguments)


def test_the_other_numbers_of_x86_64_do_not_exist():
    assert answer(bpf_program("x86_64"), 0x40000000 + 39) == ENOSYS


def test_a_machine_without_a_table():
    with pytest.raises(UserError, match="riscv64"):
        bpf_program("riscv64")


def test_no_number_is_there_twice():
    for machine in MACHINES:
        numbers = [*allowed(machine).values(), *of_machine(CHECKED, machine).values()]
        assert len(numbers) == len(set(numbers))


HEADERS = {
    "x86_64": ("x86_64", "#include <asm/unistd_64.h>"),
    # Machines newer than x86 share one table; arm64 asks for these of its optional calls.
    "aarch64": ("", "\n".join(
        f"#define {name}" for name in (
            "__BITS_PER_LONG 64", "__ARCH_WANT_RENAMEAT", "__ARCH_WANT_NEW_STAT",
            "__ARCH_WANT_SET_GET_RLIMIT", "__ARCH_WANT_TIME32_SYSCALLS",
            "__ARCH_WANT_SYS_CLONE3", "__ARCH_WANT_MEMFD_SECRET",
        )
    ) + "\n#include <asm-generic/unistd.h>"),
}  # fmt: skip


def kernel_numbers(machine: str) -> dict[str, int]:
    """Numbers of the system calls by name, from the kernel's headers."""
    only_on, source = HEADERS[machine]
    if shutil.which("gcc") is None or only_on not in ("", os.uname().machine):
        unavailable("needs gcc, and to compare x86_64 a processor of that kind")
    done = subprocess.run(
        ["gcc", "-E", "-dM", "-"], input=source, capture_output=True, text=True, check=False
    )
    if done.returncode:
        unavailable(f"no kernel headers (linux-libc-dev): {done.stderr.strip()}")
    words = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    defined = {parts[1]: parts[2] for parts in words if len(parts) == 3}
    numbers = {}
    for name, value in defined.items():
        if name.startswith("__NR_"):
            value = defined.get(value, value)  # __NR_fcntl is __NR3264_fcntl
            if value.isdigit():
                numbers[name.removeprefix("__NR_")] = int(value)
    return numbers


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel_s_headers(machine):
    known = kernel_numbers(machine)
    table = of_machine({**ALLOWED, **CHECKED}, machine)
    # The headers of some distributions are older than the newest calls.
    newest = max(known.values())
    assert {name for name in table if name not in known and table[name] <= newest} == set()
    assert {name: known[name] for name in table if name in known} == {
        name: number for name, number in table.items() if name in known
    }
    assert {*NEVER} <= {*known} | {*kernel_numbers("aarch64")}, "a name that the kernel lacks"


def test_the_filter_answers_in_a_box_as_it_should():
    """In a box, where a call that went through would find nothing to do harm to."""
    machine = os.uname().machine
    number = of_machine(CHECKED, machine)
    known = {*allowed(machine).values(), *number.values()}
    uprobes = {335, 336}  # on x86_64 no filter is asked: another caller than a probe gets a signal
    refused = [n for n in range(LAST_KNOWN + 1) if n not in known | uprobes]
    calls = [[nr] for nr in refused]
    calls += [[number["clone3"]], [LAST_KNOWN + 1], [0x40000027], [number["socket"], 38, 5, 0]]
    calls += [[number["socket"], 2, 1, 132], [number["ioctl"], 99, 0x5412, 0]]
    calls += [[number["ioctl"], 99, 0x5401, 0], [number["clone"], 0x10000011, 0, 0, 0, 0]]
    calls += [[number["fcntl"], 99, 1031, 0], [number["fcntl"], 99, 1, 0]]
    calls += [[number["setsockopt"], 99, 1, option, 0, 0] for option in (2, 7, 8, 32, 33)]
    code = (
        "import ctypes, json\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(*words): return libc.syscall(*map(ctypes.c_long, words)), ctypes.get_errno()\n"
        f"print(json.dumps([call(*words) for words in {calls}]))"
    )
    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(Request({"main.py": code}, ("python", "main.py")))
    eperm, enosys, ebadf = ([-1, number] for number in (1, 38, 9))
    looked_into = [enosys, enosys, enosys, eperm, eperm, eperm, ebadf, eperm]
    looked_into += [eperm, ebadf, ebadf, eperm, eperm, eperm, eperm]
    expected = [eperm] * len(refused) + looked_into
    assert result.outcome == "passed", result
    assert json.loads(result.stdout) == expected
