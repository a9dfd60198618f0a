"""Process 1 of a check: runs every case in a pair of forked processes, and reports as JSON.

It reads `cases.json` and removes it, so that no solution finds it:
  cases        [{solution, tests, imports, stub, seconds}]; the first is the solution itself
  program      {file: text} of the program as a whole, and `command` which runs it
  hash_seeds   one repetition each
  shell        {files, command} to run first; null for none
Runs nothing of a model in its own process.
"""

import json
import math
import os
import select
import signal
import socket
import sys
import time

from . import tests_process
from .starter import Starter, end_all_but, fork, limit_cpu, set_dumpable

MAX_REPORT = 1 << 20
"""Bytes that one case may report; tests that say more are ended."""
MAX_OUTPUT = 1 << 18


def main() -> None:
    set_dumpable(0)
    starter = Starter()
    # From here on nothing is imported from where a program could put it.
    sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
    kept = {1, os.getpid(), starter.pid}
    with open("cases.json", encoding="utf-8") as file:
        job = json.load(file)
    os.unlink("cases.json")
    if job["shell"]:
        _write(job["shell"]["files"])
        _run_program(job["shell"]["command"], 0, job["seconds"])
        end_all_but(kept)
    cases = []
    for case in job["cases"]:
        # A program that imports much takes its time with every change of it too.
        usual = 3 * cases[0]["cpu_seconds"] if cases else 0
        seconds = max(case["seconds"], min(usual, job["cases"][0]["seconds"]))
        cases.append(run_case(case, math.ceil(seconds), starter))
        if not end_all_but(kept):
            os._exit(1)  # then nothing that comes could be believed
    _write(job["program"])
    runs = [_run_program(job["command"], seed, job["seconds"]) for seed in job["hash_seeds"]]
    json.dump({"cases": cases, "runs": runs}, sys.stdout)


def run_case(case: dict, seconds: int, starter: Starter) -> dict:
    """What the tests reported, whether the time was enough for them, and what they took.

    seconds: of CPU time for the solution and for the tests, so that a busy machine ends no run that
    computes. What waits is ended by the clock, after `patience` of them.
    """
    ours, theirs = socket.socketpair()
    token = os.urandom(16).hex()
    reader, writer = os.pipe()
    solution = starter.start(case["solution"], seconds, theirs.fileno())
    fds = (ours.fileno(), writer)
    tests = fork(lambda: _be_tests(*fds, case, seconds, token), {*fds})
    ours.close()
    theirs.close()
    os.close(writer)
    text, in_time = _read(reader, patience(seconds), MAX_REPORT)
    os.close(reader)
    _kill(solution)
    ends = [_end(tests), starter.wait(solution)]
    in_time &= all(os.WTERMSIG(status) != signal.SIGXCPU for status, _ in ends)
    lines = text.decode("utf-8", "replace").split("\n")[:-1]
    # A line without the token is none of the checker's.
    reports = [json.loads(line.removeprefix(token)) for line in lines if line.startswith(token)]
    reports += [["broken", "a forged report"]] * any(not line.startswith(token) for line in lines)
    return {"reports": reports, "in_time": in_time, "cpu_seconds": sum(cpu for _, cpu in ends)}


def patience(seconds: int) -> int:
    """Seconds by the clock for so many of CPU time."""
    return 3 * seconds + 1


def _be_tests(fd: int, writer: int, case: dict, seconds: int, token: str) -> None:
    limit_cpu(seconds)
    tests_process.run(fd, tests_process.reporter(writer, token), case)


def _read(fd: int, seconds: float, limit: int) -> tuple[bytes, bool]:
    """All that comes until the writers are gone, and whether that was in time."""
    deadline, parts, size = time.monotonic() + seconds, [], 0
    while size < limit:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return b"".join(parts), False
        part = os.read(fd, 1 << 16)
        if not part:
            return b"".join(parts), True
        parts.append(part)
        size += len(part)
    return b"".join(parts), False


def _kill(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it has not become a group's leader yet, or is gone
        os.kill(child, signal.SIGKILL)


def _end(child: int) -> tuple[int, float]:
    """End a child; its status and its CPU seconds."""
    _kill(child)
    _, status, used = os.wait4(child, 0)
    return status, used.ru_utime + used.ru_stime


def _run_program(command: list[str], hash_seed: int, seconds: float) -> dict:
    """A run of the program as a whole: exit code (None: ended by a signal or by us) and stdout."""
    reader, writer = os.pipe()

    def work() -> None:
        set_dumpable(1)
        os.dup2(writer, 1)
        os.closerange(3, 64)
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        os.execvpe(command[0], command, environment)

    child = fork(work, {writer})
    os.close(writer)
    text, in_time = _read(reader, seconds, MAX_OUTPUT)
    os.close(reader)
    if in_time:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    else:
        code = None
        _end(child)
    stdout = text.decode("utf-8", "replace")
    return {"exit_code": None if code is None or code < 0 else code, "stdout": stdout}


def _write(files: dict[str, str]) -> None:
    for name, text in files.items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)


if __name__ == "__main__":
    main()
