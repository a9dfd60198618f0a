"""Process 1 of a warm container: runs one request after another and cleans up after each.

Its source comes in when the container starts, with the modules that it imports and `bootstrap.py`:
the image holds nothing of the project but the standard library. It speaks frames over
its standard input and output: four bytes of length, a JSON header with the sizes of what follows,
raw bytes. Programs run as another user without capabilities: they can neither read this process
nor signal it, and none outlives its run.
"""

import ctypes
import json
import os
import py_compile
import resource
import signal
import struct
import sys
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

from aiev.sandbox.inside.cleanup import LIBC, WRITABLE, clean, collect, leave_root
from aiev.sandbox.inside.monitor import Box, classify_outcome, monitor_loop

HOOK = "/opt/box/sitecustomize.py"
HOOKS = os.path.dirname(HOOK)
CLOSED = ("/sys", "/dev/mqueue")  # what the engine must have, and programs need not see


def main(hook: str) -> None:
    """Answer requests until standard input is closed."""
    os.umask(0o022)
    for folder, mode in {**WRITABLE, HOOKS: 0o755, **dict.fromkeys(CLOSED, 0o555)}.items():
        os.chmod(folder, mode)  # some engines give a tmpfs the mode that the image has there
    with suppress(OSError):  # the host has few terminals for all containers together
        os.chmod("/dev/pts/ptmx", 0)
    with open(HOOK, "w") as stream:
        stream.write(hook)
    py_compile.compile(HOOK, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    send({"python": list(sys.version_info[:2])}, [])
    while (frame := receive()) is not None:
        send({"begun": True}, [])
        answer, raw = run(*frame)
        try:
            clean()
        except OSError as error:  # the host is told to give this container up
            answer["unusable_reason"] = str(error)
        send(answer, raw)


def receive() -> tuple[dict, list[bytes]] | None:
    """The next frame; None when the other end is closed."""
    size = _read(4)
    if size is None or (text := _read(struct.unpack("!I", size)[0])) is None:
        return None
    header = json.loads(text)
    blobs = [_read(size) for size in header["sizes"]]
    return None if None in blobs else (header, blobs)


def _read(size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = os.read(0, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


def send(header: dict, blobs: list[bytes]) -> None:
    text = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
    data = memoryview(b"".join([struct.pack("!I", len(text)), text, *blobs]))
    while data:
        data = data[os.write(1, data) :]


def run(header: dict, blobs: list[bytes]) -> tuple[dict, list[bytes]]:
    """One request from its start to its last process's end."""
    limits = SimpleNamespace(**header["limits"])
    stdout, stderr, status = pipes = [os.pipe() for _ in range(3)]
    kills = _oom_kills()
    box = Box("/", kill_all, limits, frozenset({"1"}))
    child = os.fork()
    if not child:
        _become_program(header, dict(zip(header["files"], blobs, strict=True)), pipes)
    for pipe in (stdout, stderr):
        os.close(pipe[1])
    reaper = partial(_reap, child, status[1], [])
    signal.signal(signal.SIGCHLD, reaper)
    reaper()  # it may have ended already
    try:
        out, err = monitor_loop(box, (stdout[0], stderr[0], status[0]), caller=0)
    finally:
        kill_all()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _reap_all()
        for pipe in pipes:
            os.close(pipe[0])
    ending = box.ending()
    exit_code, outcome = classify_outcome(box, err.decode("utf-8", "replace"), ending)
    killed = box.stopped is None and ending and ending[:2] == ("signal", signal.SIGKILL)
    if killed and _oom_kills() > kills:
        outcome = "out-of-memory"
    found = collect(header["collect"], limits.file_mib << 20)
    answer = {"exit_code": exit_code, "outcome": outcome, "seconds": box.seconds}
    return {**answer, "files": list(found)}, [out, err, *found.values()]


def _reap(child: int, report: int, done: list, *_) -> None:
    """Reap ended processes, orphans too; report the program's own end to the status pipe."""
    with suppress(ChildProcessError):
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            if ended[0] == child and not done:
                done.append(child)
                kind = "signal" if os.WIFSIGNALED(ended[1]) else "exit"
                number = os.waitstatus_to_exitcode(ended[1])
                seconds = ended[2].ru_utime + ended[2].ru_stime
                os.write(report, f"{kind} {abs(number)} {seconds}\n".encode())
                os.close(report)


def kill_all() -> None:
    """Kill every process but this one. The kernel lets none escape by forking."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _reap_all() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _become_program(header: dict, files: dict[str, bytes], pipes) -> None:
    """In the child, for ever: put the files there as the program's user, and start it."""
    try:
        stdout, stderr, status = (writer for _, writer in pipes)
        os.write(status, b"ready\n")
        os.setsid()
        for fd, new in ((os.open("/dev/null", os.O_RDONLY), 0), (stdout, 1), (stderr, 2)):
            os.dup2(fd, new)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")  # the kernel takes it before this worker
        leave_root()
        for name, content in files.items():
            os.makedirs(os.path.dirname(f"/box/{name}"), exist_ok=True)
            with open(f"/box/{name}", "wb") as stream:
                stream.write(content)
        _set_limits(header["resources"])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.chdir("/box")
        os.closerange(3, 1024)
        _filter_calls(bytes.fromhex(header["filter"]))
        os.environ.clear()
        os.environ.update(header["environment"])
        os.execvp(header["command"][0], header["command"])
    except BaseException as error:
        message = f"{header['named']}: {getattr(error, 'strerror', None) or error}\n"
        os.write(2, message.encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _set_limits(limits: dict[str, list[int]]) -> None:
    for name, (soft, hard) in limits.items():
        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def _filter_calls(program: bytes) -> None:
    """Put a filter on this process for ever (PR_SET_SECCOMP). Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    text = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if LIBC.prctl(22, 2, text, 0, 0):
        raise OSError(ctypes.get_errno(), "the system call filter is refused")


def _oom_kills() -> int:
    """How often the kernel has ended a process because memory ran out, here or elsewhere."""
    try:
        with open("/proc/vmstat") as stream:
            words = stream.read().split()
    except FileNotFoundError:  # not every runtime has it
        return 0
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
