"""What a program that means well finds in the box, on each backend."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiev.sandbox.api import SITE_PACKAGES
from aiev.sandbox.bubblewrap import options


def test_its_output_is_handed_over_and_there_is_no_input(play):
    result = play("import sys; print('out'); print('err', file=sys.stderr); print(repr(input()))")
    assert (result.stdout, result.outcome) == ("out\n", "failed")
    assert result.stderr.startswith("err\n") and "EOFError" in result.stderr


def test_python_goes_on_as_it_would_outside(play):
    code = """
    import helper, os, sys
    print(__name__, __file__, sys.argv, sys.path[0], helper.answer, "AIEV_BOX" in os.environ)
    """
    result = play(code, {"helper.py": "answer = 42"}, ("python", "main.py", "a b"))
    assert result.stdout == "__main__ /box/main.py ['main.py', 'a b'] /box 42 False\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    "command",
    [
        ("python", "-I", "main.py"),
        ("python", "-S", "-E", "-u", "main.py"),
        ("python", "-m", "main"),
        ("python", "-c", "import main"),
        ("python3", "main.py"),
        ("/opt/python/bin/python", "-S", "main.py"),
        ("bash", "-c", "python main.py"),
    ],
)
def test_every_way_to_start_has_limits(play, command):
    code = "import os, resource; print(resource.getrlimit(resource.RLIMIT_DATA), os.getresuid())"
    result = play(code, command=command, memory_mib=100)
    size = 100 << 20
    assert result.stdout == f"({size}, {size}) (65534, 65534, 65534)\n"


def test_an_unknown_command_fails(play):
    result = play("", command=("no-such-command",))
    assert (result.exit_code, result.outcome) == (127, "failed")
    assert "no-such-command" in result.stderr


def test_the_environment_is_fixed(play):
    code = "import os; print(sorted(os.environ), os.getcwd(), os.uname().nodename)"
    names = {*options.ENVIRONMENT, "LD_LIBRARY_PATH", "PWD", "PYTHONHASHSEED", "PYTHONPATH"}
    assert play(code).stdout == f"{sorted(names)} /box box\n"


def test_the_own_loopback_works(play):
    code = """
    import socket
    server = socket.create_server(("localhost", 0))
    socket.create_connection(server.getsockname(), 1)
    print([name for _, name in socket.if_nameindex()])
    """
    assert play(code).stdout == "['lo']\n"


def test_files_go_in_and_out(play):
    code = "import os; os.makedirs('a/c'); open('a/c/out', 'wb').write(open('a/b/in', 'rb').read())"
    result = play(code, {"a/b/in": b"\x00\xff"}, collect=("a/c/out", "main.py", "missing"))
    assert result.files == {"a/c/out": b"\x00\xff", "main.py": code.encode()}


def test_invalid_utf8_is_replaced(play):
    result = play(r"import os; os.write(1, b'a\xff\x00\x1b[2Jb')")
    assert result.stdout == "a\ufffd\x00\x1b[2Jb"


def test_the_hash_seed_decides_the_order(play):
    code = "print({str(i) for i in range(50)})"
    first, again, other = (play(code, hash_seed=seed).stdout for seed in (1, 1, 2))
    assert first == again != other


# Limits let through what is within them


@pytest.mark.parametrize("stream", [1, 2])
def test_output_is_kept_up_to_its_limit(play, stream):
    result = play(f"import os; os.write({stream}, b'x' * 1024)", output_kib=1)
    assert (result.outcome, len(result.stdout + result.stderr)) == ("passed", 1024)
    result = play(f"import os; os.write({stream}, b'x' * 1025)", output_kib=1)
    assert (result.outcome, len(result.stdout + result.stderr)) == ("output-cut", 1024)


def test_as_many_processes_as_allowed(play):
    code = """
    import os, time
    for _ in range({more}):
        if not os.fork():
            time.sleep(0.3)
            os._exit(0)
    time.sleep(0.3)
    """
    assert play(code.format(more=15), processes=16).outcome == "passed"
    assert play(code.format(more=16), processes=16).outcome == "failed"


def test_forked_processes_that_share_memory_count_it_once(play):
    code = """
    import os, time
    kept = b"x" * (60 << 20)
    for _ in range(3):
        os.fork()
    time.sleep(0.3)
    """
    assert play(code, memory_mib=160).outcome == "passed"


def test_a_caught_memory_error_is_the_program_s_own(play):
    code = "try: bytearray(1 << 30)\nexcept MemoryError: print('caught')"
    assert play(code, memory_mib=128).outcome == "passed"


def test_numpy_multiplies_in_threads_within_its_memory(play, numpy_layer):
    code = """
    import numpy, threading
    def work():
        a = numpy.ones((500, 500))
        assert (a @ a)[0, 0] == 500
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    work()
    """
    threads = {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"}
    result = play(code, memory_mib=512, mounts={SITE_PACKAGES: numpy_layer}, environment=threads)
    assert result.outcome == "passed", result


def test_shared_memory_of_python_is_shared_and_limited(play):
    code = """
    import mmap, os
    shared = [mmap.mmap(-1, 4096), mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)]
    shared.append(mmap.mmap(-1, 4096, access=mmap.ACCESS_WRITE))
    own = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE), mmap.mmap(-1, 4096, access=mmap.ACCESS_COPY)
    if not os.fork():
        for memory in (*shared, *own):
            memory[0] = 7
        os._exit(0)
    os.wait()
    print([memory[0] for memory in shared], [memory[0] for memory in own], type(own[0]))
    print(isinstance(own[0], mmap.mmap), len(own[0]))
    """
    assert play(code).stdout == "[7, 7, 7] [0, 0] <class 'mmap.mmap'>\nTrue 4096\n"
    result = play("import mmap; mmap.mmap(-1, 300 << 20)", disk_mib=16)
    assert result.outcome == "out-of-memory"


def test_processes_share_values_of_multiprocessing(play):
    code = """
    import multiprocessing
    def add(value):
        with value.get_lock():
            value.value += 1
    if __name__ == "__main__":
        value = multiprocessing.Value("i", 0)
        workers = [multiprocessing.Process(target=add, args=(value,)) for _ in range(3)]
        [w.start() for w in workers]
        [w.join() for w in workers]
        with multiprocessing.Pool(2) as pool:
            print(value.value, pool.map(abs, [-1, -2]))
    """
    assert play(code).stdout == "3 [1, 2]\n"


def test_the_devices_answer(play):
    code = """
    import os
    print(open("/dev/zero", "rb").read(3), len(open("/dev/urandom", "rb").read(3)))
    os.write(os.open("/dev/null", os.O_RDWR), b"x")
    """
    assert play(code).stdout == "b'\\x00\\x00\\x00' 3\n"


# Its processes end with it


DAEMON = """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        {closing}
        os.execvp("python", ["python", "-c", "import time; time.sleep(60)", "{mark}"])
    os._exit(0)
os.wait()
time.sleep({rest})
"""


def commands_on_the_host():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(found)


@pytest.mark.parametrize("rest", [0.5, 60])
@pytest.mark.parametrize("closing", ["pass", "os.closerange(0, 100)"])
def test_a_daemon_dies_with_the_run(play, rest, closing):
    mark = f"daemon-{os.getpid()}-{rest}-{len(closing)}"
    with ThreadPoolExecutor(1) as pool:
        code = DAEMON.format(mark=mark, closing=closing, rest=rest)
        running = pool.submit(play, code, wall_seconds=1)
        seen = False
        while not running.done():
            seen = seen or mark.encode() in commands_on_the_host()
            time.sleep(0.01)
    assert seen, "the daemon never ran, so that nothing is shown"
    assert mark.encode() not in commands_on_the_host()
    assert running.result().outcome == ("timed-out" if rest == 60 else "passed")
