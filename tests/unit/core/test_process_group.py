"""A process group ends as a whole, also where the main thread of a process has ended before."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiev.core.process_group import ProcessGroup

# SIGTERM does not end it, and its main thread ends by itself: it is a zombie with a living thread.
HEADLESS = """
import ctypes, os, platform, signal, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=(600,)).start()
os.write(1, b"%d\\n" % os.getpid())
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""
# Ends at SIGTERM, as a leader that forgets its worker.
LEADER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.parametrize("program", [[HEADLESS], [LEADER, HEADLESS]], ids=["leader", "worker"])
def test_a_process_without_its_main_thread_is_ended_too(program):
    group = ProcessGroup([sys.executable, "-c", *program], stdout=subprocess.PIPE)
    with group.leader.stdout as stdout:
        headless = int(stdout.readline())
        deadline = time.monotonic() + 20
        while "State:\tZ" not in Path(f"/proc/{headless}/status").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert group.stop(term_seconds=0.2)
        # End of file at once: no process that could write is left.
        os.set_blocking(stdout.fileno(), False)
        assert os.read(stdout.fileno(), 1) == b""
