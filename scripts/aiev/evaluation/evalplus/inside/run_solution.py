"""Runs inside the sandbox: one solution on a task's inputs, without any knowledge of what is right.

task.json {"entry_point", "returns": a key of RETURNS, "phases": {phase: {"limits": [CPU seconds
of each input], "cpu_seconds", "max_bytes", "whole": number or null, "whole_chars"}}}, solution.py,
inputs.{phase}.jsonl
-> outputs.{phase}.jsonl: CPU seconds and what the solution returned, a line for each input up to
the first that failed; ends.json: {phase: {"outcome", "seconds": CPU time}}. Of a long value the
line holds the digest, but for input number `whole` up to `whole_chars`.

A phase runs in a process of its own. Limits count CPU time, so that a busy machine changes no
verdict; a process that neither computes nor ends is stopped after IDLE_SECONDS.
"""

import builtins
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import values

TICK = 0.1
IDLE_SECONDS = 5.0
REFUSED = [
    "kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork",
    "forkpty", "killpg", "rename", "renames", "truncate", "replace", "unlink", "fchmod", "fchown",
    "chmod", "chown", "chroot", "lchown", "getcwd", "chdir",
]  # fmt: skip
"""Functions of os that EvalPlus takes from solutions: what needs them fails there, and here."""


class TooSlow(BaseException):
    """An input took more CPU time than its limit."""


class Silent(io.StringIO):
    """Keeps nothing that is written, and cannot be read, as in EvalPlus."""

    def write(self, text):
        return len(text)

    def read(self, *_):
        raise OSError

    readline = read

    def readable(self):
        return False


def guard():
    """What EvalPlus takes away, so that the same solutions work. The sandbox does the isolation."""
    builtins.exit = builtins.quit = builtins.open = None
    for name in REFUSED:
        setattr(os, name, None)
    shutil.rmtree = shutil.move = shutil.chown = subprocess.Popen = None
    for name in ("ipdb", "joblib", "resource", "psutil", "tkinter"):
        sys.modules[name] = None
    sys.stdin = sys.stdout = sys.stderr = Silent()


def too_slow(*_):
    raise TooSlow


def run_phase(phase, task, source, inputs):
    """Run the solution in this process; -> its outcome. Raises whatever the solution raises."""
    own = task["phases"][phase]
    cpu = own["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    signal.signal(signal.SIGPROF, too_slow)
    timer, clock, write = signal.setitimer, time.process_time, os.write
    out = os.open(f"outputs.{phase}.jsonl", os.O_WRONLY | os.O_CREAT, 0o600)
    long = values.LONG
    prepare, dump, room = RETURNS[task["returns"]], values.dump, own["max_bytes"]
    limits, longest = own["limits"], {own["whole"]: own["whole_chars"]}
    guard()
    space = {}
    exec(source, space)
    function = space[task["entry_point"]]
    for number, (arguments, limit) in enumerate(zip(inputs, limits, strict=True)):
        timer(signal.ITIMER_PROF, limit)
        start = clock()
        value = function(*arguments)
        seconds = clock() - start
        timer(signal.ITIMER_PROF, 0)
        text = dump(prepare(value), longest.get(number, long))
        line = f"{seconds:.6f} {text}\n".encode()
        room -= len(line)
        if room < 0:
            return "output-cut"
        while line:
            line = line[write(out, line) :]
    return "passed"


def some(value):
    """For tasks of which EvalPlus asks only whether something was returned."""
    return value if isinstance(value, bool) else value is not None


RETURNS = {
    "value": lambda value: value,
    "set": set,
    "some": some,
    "exists": lambda value: value is not None,
}
"""What of a returned value counts."""


def child(phase, task, source, inputs):
    """The process of a phase; its exit code tells the outcome."""
    codes = {"passed": 0, "output-cut": 4}
    try:
        code = codes[run_phase(phase, task, source, inputs)]
    except TooSlow:
        code = 3
    except MemoryError:
        code = 5
    except BaseException:
        code = 1
    EXIT(code)


EXIT = os._exit
OUTCOMES = {0: "passed", 3: "timed-out", 4: "output-cut", 5: "out-of-memory"}


def watch(pid, cpu_seconds):
    """Wait for the child; -> (outcome, CPU seconds)."""
    idle, before = 0.0, -1
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            break
        signal.sigtimedwait({signal.SIGCHLD}, TICK)
        state, used = progress(pid)
        idle = idle + TICK if state in "ST" and used == before else 0.0
        before = used
        if idle > IDLE_SECONDS:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            return "timed-out", usage.ru_utime + usage.ru_stime
    seconds = usage.ru_utime + usage.ru_stime
    if os.WIFEXITED(status):
        return OUTCOMES.get(os.WEXITSTATUS(status), "failed"), seconds
    # The second limit ends what ignores SIGXCPU.
    late = os.WTERMSIG(status) == signal.SIGXCPU or seconds > cpu_seconds
    return ("timed-out" if late else "crashed"), seconds


def progress(pid):
    """State of a process, and the CPU ticks that it used."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "Z", -1
    return fields[0].decode(), int(fields[11]) + int(fields[12])


def main():
    with open("task.json", encoding="utf-8") as file:
        task = json.load(file)
    with open("solution.py", encoding="utf-8", errors="surrogatepass") as file:
        source = file.read()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    ends = {}
    for phase in task["phases"]:
        with open(f"inputs.{phase}.jsonl", encoding="utf-8") as file:
            inputs = [values.load(line) for line in file]
        pid = os.fork()
        if not pid:
            quiet = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(quiet, fd)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            child(phase, task, source, inputs)
        outcome, seconds = watch(pid, task["phases"][phase]["cpu_seconds"])
        ends[phase] = {"outcome": outcome, "seconds": seconds}
    with open("ends.json", "w", encoding="utf-8") as file:
        json.dump(ends, file)


if __name__ == "__main__":
    main()
