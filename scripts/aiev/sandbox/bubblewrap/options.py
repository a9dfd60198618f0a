"""bubblewrap's command line for a request: what is mounted where, and what starts.

Host paths are mounted at fixed places, the interpreter at /opt/python, so that a traceback reads
the same on every machine; the interpreter's own site-packages are hidden, so that only the
standard library and what the request mounts can be imported. Python runs without -I, -E or -P:
the environment is ours anyway, and files in /box may import each other.
"""

import importlib.util
import marshal
import os
import sys
from pathlib import Path, PurePosixPath

from aiev.core.files import module_path
from aiev.sandbox.api import SITE_PACKAGES, Limits, Request
from aiev.sandbox.inside.monitor import MIB
from aiev.sandbox.validation import validate

PYTHON = "/opt/python"
HOOK = "/opt/box"
INSIDE = module_path("aiev.sandbox.inside.bootstrap")
COMPILED = f"{HOOK}/sitecustomize.pyc"
USER = 65534
SHARED_MEMORY = 16 * MIB  # /dev/shm, where multiprocessing keeps its semaphores
HOST_LISTS = ("/proc/keys", "/proc/key-users")
"""Name the keys of the session that the box was started in."""
QUEUED_SIGNALS = 1024  # and timers; the host has one number for all of a user's processes
ENVIRONMENT = {
    "HOME": "/box",
    "LANG": "C.UTF-8",
    "PATH": f"{PYTHON}/bin:{SITE_PACKAGES}/bin:/usr/bin:/bin",
    "TZ": "UTC",
    "USER": "box",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    ),
}


def system_options(from_root: bool) -> list[str]:
    """What is the same for every run on this machine: namespaces, interpreter, libraries."""
    options = ["--unshare-all", "--unshare-user", "--die-with-parent"]
    options += ["--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "box"]
    if from_root:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SYS_RESOURCE"):
            options += ["--cap-add", capability]  # until `bootstrap.py` has left root
    else:
        options += ["--disable-userns", "--uid", str(USER), "--gid", str(USER)]
    for folder in ("/opt", HOOK, PYTHON, f"{PYTHON}/bin"):
        options += _folder(folder)
    for folder in ("/usr", "/usr/share", "/etc"):
        options += _folder(folder)
    for folder in ("/usr/bin", "/usr/lib", "/usr/lib64", "/bin", "/lib", "/lib64"):
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            options += ["--ro-bind", folder, folder]
    for path in ("/etc/ld.so.cache", "/etc/alternatives", "/usr/share/zoneinfo"):
        options += ["--ro-bind-try", path, path]
    return options + _python_options(Path(sys.base_prefix))


def compiled_hook() -> tuple[str, bytes]:
    """Path in the box and bytecode of `bootstrap.py`, in the form of PEP 552: to compile it would
    cost every start 2 ms."""
    source = INSIDE.read_bytes()
    code = marshal.dumps(compile(source, f"{HOOK}/sitecustomize.py", "exec"))
    header = importlib.util.MAGIC_NUMBER + bytes([1, 0, 0, 0]) + importlib.util.source_hash(source)
    return COMPILED, header + code


def _folder(path: str) -> list[str]:
    """A directory that all may enter: bwrap makes those above a mounted file for its user only."""
    return ["--perms", "0755", "--dir", path]


def _closed(folder: str) -> list[str]:
    """An empty folder in the place of another.

    /proc/1: process 1 of the box is bwrap's, under the program's own user where no root is. Its
    memory, executable and descriptors can be reached by this folder only, as the filter refuses
    ptrace(2) and its like. /dev/pts: the host has 4096 terminals for all boxes together.
    """
    return ["--perms", "0555", "--size", "4096", "--tmpfs", folder, "--remount-ro", folder]


def _python_options(base: Path) -> list[str]:
    """The interpreter that runs this (not its virtual environment), at /opt/python."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    options = ["--ro-bind", program, f"{PYTHON}/bin/{name}"]
    for alias in ("python", "python3"):
        options += ["--symlink", name, f"{PYTHON}/bin/{alias}"]
    folders = sorted({"lib", sys.platlibdir})
    for folder in folders:
        options += ["--ro-bind", str(base / folder), f"{PYTHON}/{folder}"]
    for folder in folders:
        for site in (f"{name}/site-packages", f"{name}/dist-packages", "python3/dist-packages"):
            if (base / folder / site).is_dir():
                hidden = f"{PYTHON}/{folder}/{site}"
                options += _closed(hidden)
    # A shared libpython was linked to be found at its place on the host.
    return [*options, "--setenv", "LD_LIBRARY_PATH", f"{PYTHON}/lib"]


def request_options(request: Request, files: dict[str, int]) -> list[str]:
    """files: where in the box -> a descriptor of what is put there."""
    disk = str(request.limits.disk_mib * MIB)
    options = []
    for name, fd in files.items():
        options += ["--perms", "0444", "--file", str(fd), name]
    for inside, outside in request.mounts.items():
        for parent in reversed(PurePosixPath(inside).parents[:-1]):
            options += _folder(str(parent))
        options += ["--ro-bind", str(Path(outside).resolve()), inside]
    options += ["--proc", "/proc", *_closed("/proc/1"), "--dev", "/dev", *_closed("/dev/pts")]
    for path in filter(os.path.exists, HOST_LISTS):
        options += ["--ro-bind", "/dev/null", path]
    # Shared memory made of /dev/zero would count for nobody; zeros can be read from this one too.
    options += ["--dev-bind", "/dev/full", "/dev/zero"]
    options += ["--perms", "1777", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    options += ["--remount-ro", "/dev"]
    options += ["--perms", "1777", "--size", disk, "--tmpfs", "/tmp"]
    options += ["--perms", "0777", "--size", disk, "--tmpfs", "/box"]
    options += ["--remount-ro", "/", "--chdir", "/box"]
    environment = {**ENVIRONMENT, "PYTHONHASHSEED": str(request.hash_seed), **request.environment}
    environment["PYTHONPATH"] = HOOK  # the request's own is added by bootstrap.py
    for name, value in environment.items():
        options += ["--setenv", name, value]
    return options


def command_line(command: tuple[str, ...]) -> list[str]:
    """How the box's first process starts, so that `bootstrap.py` runs before the program.

    A Python script, module or -c goes on in the same interpreter. Options such as -I or -S could
    keep Python from reading `bootstrap.py`: those, and other commands, are started by it.
    """
    python = f"{PYTHON}/bin/python"
    if command[0] == "python" and len(command) > 1:
        first = command[1]
        if first in ("-c", "-m") or not first.startswith("-"):
            return [python, *command[1:]]
    return [python, "-I", "-S", COMPILED, *command]


def payload_of(request: Request, from_root: bool, parent: bool) -> bytes:
    """The request's files and limits for `bootstrap.py`; raises UserError where they cannot be.

    parent: whether the program has a parent in the box, which reports how it ended and stays.
    """
    files = validate(request, from_root)
    python_path = request.environment.get("PYTHONPATH", "")
    ours = parent + (not from_root)  # the box's process 1 is the program's user where no root is
    values = {"files": files, "python_path": python_path, "parent": parent}
    values |= {"from_root": from_root, "user": USER}
    return marshal.dumps({**values, "limits": resource_limits(request.limits, ours)})


def resource_limits(limits: Limits, ours: int = 0) -> dict[str, tuple[int, int]]:
    """Name of the resource -> soft and hard limit, for each process.

    ours: processes of the program's user that are not the program's.
    """
    same = {
        "RLIMIT_CORE": 1,  # 0 would not keep the kernel from starting a program of the host for it
        "RLIMIT_DATA": limits.memory_mib * MIB,
        "RLIMIT_STACK": 8 * MIB,
        "RLIMIT_NPROC": limits.processes + ours,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": limits.file_mib * MIB,
        "RLIMIT_SIGPENDING": QUEUED_SIGNALS,
        "RLIMIT_MSGQUEUE": 0,
    }
    cpu = {"RLIMIT_CPU": (limits.cpu_seconds, limits.cpu_seconds + 1)}  # SIGXCPU, then SIGKILL
    return {name: (value, value) for name, value in same.items()} | cpu
