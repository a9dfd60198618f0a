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
from aiev.sandbox.seccomp import (
    DENIED,
    FAMILIES,
    LAST_KNOWN,
    MACHINES,
    NUMBERS,
    bpf_program,
    denied,
    docker_profile,
)

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
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
    number = NUMBERS[name][list(MACHINES).index(machine)]
    return answer(bpf_program(machine), number, arguments, MACHINES[machine])


@machines
def test_each_call_of_the_table_is_refused_in_both_forms(machine):
    program = bpf_program(machine)
    said = {n: answer(program, nr, (), MACHINES[machine]) for n, nr in denied(machine).items()}
    assert set(said.values()) == {EPERM}
    (refused, _) = docker_profile()["syscalls"]
    assert set(refused["names"]) == set(DENIED) >= set(said)
    assert refused["action"] == "SCMP_ACT_ERRNO" and refused["errnoRet"] == 1


@machines
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_every_call_has_an_answer(machine, number, arguments):
    said = answer(bpf_program(machine), number, arguments, MACHINES[machine])
    column = list(MACHINES).index(machine)
    looked_into = {numbers[column] for numbers in NUMBERS.values()}
    if number > LAST_KNOWN:
        assert said == ENOSYS
    elif number in denied(machine).values():
        assert said == EPERM
    elif number not in looked_into:
        assert said == ALLOW


@given(st.integers(0, 2**32 - 1).filter(lambda arch: arch not in MACHINES.values()))
def test_calls_of_another_architecture_end_the_process(arch):
    assert answer(bpf_program("x86_64"), 0, (), arch) == KILL


@machines
def test_calls_that_are_looked_into(machine):
    for family in range(64):
        expected = ALLOW if family in FAMILIES else EPERM
        assert ask(machine, "socket", family) == ask(machine, "socketpair", family) == expected
    assert ask(machine, "clone3") == ENOSYS
    # Threads and forks, then each flag that makes a namespace.
    assert ask(machine, "clone", 0x003D0F00) == ask(machine, "clone", 0x01200011) == ALLOW
    for flag in (0x20000, *(1 << bit for bit in range(25, 31))):
        assert ask(machine, "clone", flag | 0x11) == EPERM
    assert ask(machine, "ioctl", 0, 0x5412) == ask(machine, "ioctl", 0, 0x541C) == EPERM
    assert ask(machine, "ioctl", 0, 0xFFFFFFFF_00005412) == EPERM, "the kernel reads 32 bits"
    assert ask(machine, "ioctl", 0, 0x5413) == ALLOW
    for option in range(64):
        expected = EPERM if option in (7, 8, 32, 33) else ALLOW  # sizes of buffers
        assert ask(machine, "setsockopt", 0, 1, option) == expected
        assert ask(machine, "setsockopt", 0, 6, option) == ALLOW, "another level"
    assert ask(machine, "setsockopt", 0, 0xFFFFFFFF_00000001, 0xFFFFFFFF_00000007) == EPERM
    for command in range(1024, 1040):
        expected = EPERM if command == 1031 else ALLOW  # F_SETPIPE_SZ
        assert ask(machine, "fcntl", 0, command) == expected


def test_the_other_numbers_of_x86_64_do_not_exist():
    assert answer(bpf_program("x86_64"), 0x40000000 + 39) == ENOSYS


def test_a_machine_without_a_table():
    with pytest.raises(UserError, match="riscv64"):
        bpf_program("riscv64")


def test_no_number_is_there_twice():
    for machine in MACHINES:
        column = list(MACHINES).index(machine)
        numbers = [*denied(machine).values(), *(n[column] for n in NUMBERS.values())]
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
    column = list(MACHINES).index(machine)
    table = {name: n[column] for name, n in {**DENIED, **NUMBERS}.items()}
    # The headers of some distributions are older than the newest call, or have dropped an old one.
    assert {name for name in table if table[name] is not None and name not in known} <= REMOVED
    assert {name: known[name] for name in table if name in known} == {
        name: number for name, number in table.items() if name in known
    }


REMOVED = {"lookup_dcookie", "nfsservctl", "_sysctl", "create_module", "uselib", "ustat"}


def test_the_filter_answers_in_a_box_as_it_should():
    """In a box, where a call that went through would find nothing to do harm to."""
    machine = os.uname().machine
    column = list(MACHINES).index(machine)
    number = {name: numbers[column] for name, numbers in NUMBERS.items()}
    calls = [[nr] for nr in denied(machine).values()]
    calls += [[number["clone3"]], [LAST_KNOWN + 1], [0x40000027], [number["socket"], 38, 5, 0]]
    calls += [[number["socket"], 1, 99, 0], [number["ioctl"], 99, 0x5412, 0]]
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
    eperm, enosys, einval, ebadf = ([-1, number] for number in (1, 38, 22, 9))
    looked_into = [enosys, enosys, enosys, eperm, einval, eperm, ebadf, eperm]
    looked_into += [eperm, ebadf, ebadf, eperm, eperm, eperm, eperm]
    expected = [eperm] * len(denied(machine)) + looked_into
    assert json.loads(result.stdout) == expected, result.stderr
