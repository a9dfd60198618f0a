"""The sandbox's backend on bubblewrap: user namespaces, neither daemon nor root needed.

A run makes one box: bwrap builds the namespaces as `options.py` says, `bootstrap.py` starts the
program in it, `monitor.py` watches it from outside.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiev.core.errors import UserError
from aiev.core.log import log
from aiev.sandbox.api import Request, Result
from aiev.sandbox.bubblewrap.collect import collect, open_workdir, read_all
from aiev.sandbox.bubblewrap.executable import ENABLE, Executable, executable, find_bwrap
from aiev.sandbox.bubblewrap.launch import Pipe, map_users, memory_file, spawn_bwrap, wait_for_init
from aiev.sandbox.bubblewrap.options import (
    command_line,
    compiled_hook,
    payload_of,
    request_options,
    system_options,
)
from aiev.sandbox.bubblewrap.orphans import LABEL, sweep
from aiev.sandbox.inside.monitor import Ending, classify_outcome, monitor_loop
from aiev.sandbox.seccomp import bpf_program

ETC = {
    "/etc/passwd": b"box:x:65534:65534::/box:/bin/false\n",
    "/etc/group": b"box:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost box\n::1 localhost box\n",
}
STARTS = 3
"""Attempts to start a box: a machine that is short of processes or memory for a moment does not end
a run."""
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
def open_bubblewrap(program: Path | None = None) -> Iterator["Bubblewrap"]:
    """A tested backend. program: bwrap, found by itself if not given.

    Raises UserError where there is no bwrap or it does not isolate here.
    """
    if swept := sweep():
        log.info("ended half-built sandboxes that killed runs left: %s", swept)
    with ExitStack() as stack:
        sandbox = Bubblewrap(executable(program or find_bwrap(), stack))
        result = sandbox.run(Request({"main.py": SELF_TEST}, ("python", "main.py")))
        if result.stdout != "isolated\n":
            raise UserError(
                f"bubblewrap does not isolate here: {result.outcome}: {result.stderr.strip()}",
                hint=ENABLE,
            )
        yield sandbox


class NotStarted(Exception):
    """bwrap ended before the program began; the message is bwrap's own."""


class Bubblewrap:
    """Runs each request in a box of its own. spawn: starts bwrap."""

    def __init__(self, program: Executable, spawn: Callable[..., subprocess.Popen] = spawn_bwrap):
        self.program, self.spawn = program, spawn
        self.from_root = os.geteuid() == 0
        self.system = system_options(self.from_root)
        self.filter = bpf_program()
        self.files = dict([*ETC.items(), compiled_hook()])

    def run(self, request: Request) -> Result:
        """See `Sandbox.run`.

        bwrap gives the same code for an exit code of 137 and for SIGKILL. A program that ends with
        such a code runs again, with a parent in the box that can tell the two apart: it reaches
        nothing that a second run could change, and the fork would cost every run a quarter more.
        Files can be collected only while that parent keeps the box.
        """
        parent = bool(request.collect)
        return self._run(request, parent) or self._run(request, parent=True)

    def _run(self, request: Request, parent: bool) -> Result | None:
        """One run, started again if the program had not begun; None if its end is ambiguous."""
        payload = payload_of(request, self.from_root, parent)
        for attempt in range(STARTS):
            try:
                return self._run_once(request, payload, parent)
            except NotStarted as error:
                log.info("the sandbox did not start (%d of %d): %s", attempt + 1, STARTS, error)
                reason = str(error)
        raise UserError(f"the sandbox could not be started: {reason}", hint=ENABLE)

    def _run_once(self, request: Request, payload: bytes, parent: bool) -> Result | None:
        """One start. Raises NotStarted if bwrap ended before the program began."""
        with ExitStack() as stack:
            stdout, stderr, status, info, go = pipes = [Pipe(stack) for _ in range(5)]
            process = self._start(request, payload, pipes, stack)
            for pipe in (stdout, stderr, status, info):
                pipe.writer.close()
            box = wait_for_init(process, info.reader, request.limits, stack)
            if box and self.from_root:
                map_users(os.path.dirname(box.root))
            go.writer.close()
            if box is None:
                process.wait()
                sweep()  # killed at the wrong moment, it leaves a child that waits, with our pipes
                raise NotStarted(_message(process, read_all(stderr.reader)))
            folders: list[int] = []
            out, err = monitor_loop(
                box,
                (stdout.reader, stderr.reader, status.reader),
                lambda: open_workdir(box, request, folders, stack),
            )
            code = process.wait()  # now every process of the box is gone
            if box.started is None:
                raise NotStarted(_message(process, err))
            ending = box.ending() if parent else _ending(code)
            if ending is None and not parent and box.stopped is None:
                return None
            text = err.decode("utf-8", "replace")
            exit_code, outcome = classify_outcome(box, text, ending)
            files = collect(folders[0], request) if folders else {}
            stdout_text = out.decode("utf-8", "replace")
            return Result(exit_code, outcome, stdout_text, text, files, box.seconds)

    def _start(self, request: Request, payload: bytes, pipes, stack: ExitStack):
        """The bwrap process, which ends with the stack at the latest, and with it the box."""
        stdout, stderr, status, info, go = pipes
        request_fd = memory_file(payload, stack)
        files = {name: memory_file(content, stack) for name, content in self.files.items()}
        fds = [request_fd, status.writer.fileno(), info.writer.fileno(), *files.values()]
        options = [*self.system, *request_options(request, files), "--info-fd", str(fds[2])]
        options += ["--setenv", "AIEV_BOX", f"{request_fd},{fds[1]}"]
        fds.append(memory_file(self.filter, stack))
        options += ["--seccomp", str(fds[-1])]
        if self.from_root:
            options += ["--userns-block-fd", str(go.reader)]
            fds.append(go.reader)
        arguments = memory_file("\0".join([*options, ""]).encode(), stack)
        command = [LABEL, "--args", str(arguments), "--", *command_line(request.command)]
        process = self.spawn(self.program, command, stdout.writer, stderr.writer, (arguments, *fds))
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process


def _ending(code: int) -> Ending | None:
    """How the program ended, by bwrap's own exit code; None where that is ambiguous.

    128 + n stands for signal n, and a program may exit with that code too.
    """
    return Ending("exit", code, 0.0) if 0 <= code <= 128 or code > 128 + 64 else None


def _message(process: subprocess.Popen, stderr: bytes) -> str:
    message = stderr.decode("utf-8", "replace").strip()
    return message or f"bwrap ended without a message, with exit code {process.returncode}"
