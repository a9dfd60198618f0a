"""The hostile table once more, through conversations: what one run leaves for the next weakens
nothing, conversations do not see each other, and one that is killed leaves nothing behind.

Some attacks of each kind are tried in `make test`, all of them nightly.
"""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from attacks import ATTACKS, LIMITS
from attacks_kernel import KERNEL_ATTACKS
from test_hostile import LEFTOVERS

from aiev.core.errors import UserError
from aiev.dataset.layout import run_block
from aiev.dataset.tokens import RES_START
from aiev.interpreter.session import Ran, Session
from aiev.interpreter.triggers import Tokens
from aiev.interpreter.workspace import State, Workspace, with_file
from aiev.languages.interpreter import Interpreter

QUICK = {
    "connect over IPv4", "read the project", "become root", "a child that outlives it",
    "kill every process", "use up the inodes of /box",
}  # fmt: skip

TRAPS = """
import os
for name in "sitecustomize", "usercustomize", "keep", "variables", "bootstrap", "worker", "python":
    for folder in ".", ".keep", "__pycache__", "lib/python3/site-packages":
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}.py", "w") as stream:
            stream.write("print('trap')")
with open("python", "w") as stream:
    stream.write("#!/bin/sh\\necho trap")
os.chmod("python", 0o755)
"""
"""What a first run leaves for the next one: files with the names of what starts a program."""


class Spoken:
    """A model that has the next of these programs run at each question."""

    def __init__(self, programs):
        self.answers = [run_block("python", program) for program in programs]

    def stream(self, messages):
        ran = messages[-1]["content"].startswith(RES_START)
        return Words(["Done." if ran else self.answers.pop(0)])


class Words(list):
    finish_reason = "stop"

    def close(self):
        pass


def workspace_of(sandbox, limits=LIMITS, **options):
    return Workspace(Interpreter(sandbox, limits, None), **options)


def session_of(workspace, *programs):
    """A conversation in which the model has these programs run, one at each question."""
    return Session(Spoken(programs), workspace, Tokens())


def run_of(session, workspace=None):
    """How the run of the next question ended; workspace: another one from here on."""
    session.workspace = workspace or session.workspace
    (done,) = (event.done for event in session.ask("Go.") if isinstance(event, Ran))
    return done


@pytest.fixture(scope="session")
def leftovers(sandbox):
    """What LEFTOVERS sees in a new conversation; `first`: as it was before all others."""
    seen = {}

    def see(limits, first=False):
        if limits not in seen or not first:
            done = run_of(session_of(workspace_of(sandbox, limits), LEFTOVERS))
            assert (done.result.outcome, done.result.stderr) == ("passed", ""), done
            seen.setdefault(limits, done.text)
            return done.text
        return seen[limits]

    return see


def chosen(attack):
    marks = () if attack.name in QUICK else pytest.mark.nightly
    return pytest.param(attack, id=attack.name, marks=marks)


@pytest.mark.parametrize("attack", [chosen(attack) for attack in [*ATTACKS, *KERNEL_ATTACKS]])
def test_hostile(sandbox, leftovers, attack):
    at_leisure = replace(attack.limits, wall_seconds=30)
    clean, calm = leftovers(at_leisure, first=True), workspace_of(sandbox, at_leisure)
    session = session_of(calm, TRAPS, attack.program, "print('ours')")
    planted = run_of(session)
    assert planted.result.outcome == "passed" and "python" in planted.state.files, planted
    result = run_of(session, workspace_of(sandbox, attack.limits)).result
    assert result.outcome in attack.outcome, result
    assert attack.said is None or result.stdout == attack.said, result
    assert result.seconds < attack.limits.wall_seconds + 3
    after = run_of(session, calm)
    assert (after.result.outcome, after.text) == ("passed", "ours\n"), after
    assert leftovers(at_leisure) == clean


def test_the_quick_attacks_are_of_the_table():
    assert {attack.name for attack in ATTACKS} >= QUICK


class Evil:
    """A variable that runs code where it is read."""

    def __init__(self, program):
        self.program = program

    def __reduce__(self):
        return exec, (self.program,)


def test_a_variable_that_runs_code_runs_it_in_the_next_box_alone(sandbox, tmp_path):
    """One that the program defines, and a whole of its own making in the place of all."""
    program = f"""
try:
    open({str(tmp_path / "reached")!r}, "w")
except OSError as error:
    import sys
    print("refused", file=sys.__stdout__, flush=True)
"""
    defined = f"class Evil:\n    def __reduce__(self): return exec, ({program!r},)\nx = Evil()\n"
    whole = pickle.dumps(([], pickle.dumps({"x": Evil(program)})))
    written = (
        f"import atexit\natexit.register(lambda: open('.keep/variables', 'wb').write({whole}))"
    )
    for plant in (defined, written):
        workspace = workspace_of(sandbox, keep_variables=True)
        session = session_of(workspace, plant, "print('ours')")
        planted, after = run_of(session), run_of(session)
        assert planted.result.outcome == "passed" and planted.state.variables, planted
        assert after.text == "refused\nours\n"
    assert not (tmp_path / "reached").exists()


# Two conversations


SECRET = "0123456789-of-the-other"
VICTIM = f"""
import socket, time
secret = {SECRET!r}
for folder in "/box", "/tmp", "/dev/shm":
    open(f"{{folder}}/secret", "w").write(secret)
server = socket.create_server(("127.0.0.1", 4243))
begin = time.time()
time.sleep(PAUSE)
print(begin, time.time())
"""
SPY = """
import os, socket, time
begin, seen = time.time(), set()
while time.time() < begin + 0.5:
    for folder in "/box", "/tmp", "/dev/shm":
        for path, _, names in os.walk(folder):
            seen |= {name for name in names if name == "secret"}
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{number}/cmdline").read()
            if "main.py" in command and int(number) not in (os.getpid(), os.getppid()):
                seen.add(command)
        except OSError:
            pass
    with socket.socket() as client:
        seen |= {"a server"} if not client.connect_ex(("127.0.0.1", 4243)) else set()
    time.sleep(0.02)
seen |= {"a variable"} if "secret" in globals() else set()
print(begin, time.time(), sorted(seen))
"""


@pytest.mark.parametrize("variables", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_two_conversations_do_not_see_each_other(sandbox, variables):
    """Neither at the same time nor one after the other; one goes on where it was."""
    workspace = workspace_of(sandbox, keep_variables=variables)
    victim = session_of(workspace, VICTIM.replace("PAUSE", "2"), "print(open('secret').read())")
    spy = session_of(workspace, SPY)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_of, victim)
        time.sleep(0.7)
        seen = run_of(spy)
        said = running.result()
    again, later = run_of(victim), run_of(session_of(workspace, SPY))
    begin, end, *found = seen.text.split(maxsplit=2)
    assert (found, later.text.split(maxsplit=2)[2]) == (["[]\n"], "[]\n")
    assert float(said.text.split()[0]) < float(begin) < float(end) < float(said.text.split()[1])
    assert again.text == f"{SECRET}\n"
    assert "secret" in victim.state.files and not spy.state.files


# Files that were given


NAMES = [
    "../x", "/etc/x", "a/../../x", "..", ".", "", "a//b", "a\0b", "./x", "~/../x", "\ud800",
    "x" * 5000, ".keep/keep.py", ".keep/settings", ".keep/variables", ".shell/bin/pip", "main.py",
    "interpreter.py", "sitecustomize.py", "..\\x", "a/" * 500 + "x",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_a_file_that_is_given_stays_in_its_conversation(bubblewrap, tmp_path, monkeypatch, name):
    """It is refused, or lies in the box of this conversation, where it takes no other's place."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.parent.rglob("*"))
    workspace = workspace_of(bubblewrap)
    look = "import os\nprint('ours', sorted(os.listdir('/box')))"
    plain = run_of(session_of(workspace, look))
    session = session_of(workspace, look)
    try:
        session.state = with_file(State(), name, b"print('trap')", workspace.max_bytes)
        done = run_of(session)
    except UserError:
        done = None
    if done:
        assert done.result.outcome == "passed" and done.text.startswith("ours "), done
    other = run_of(session_of(workspace, look))
    assert other.text == plain.text and not other.state.files
    assert sorted(tmp_path.parent.rglob("*")) == before


# Conversations that are killed


TALK = """
import json, os, signal, sys, threading, time
sys.path[:0] = json.loads(sys.argv[1])
from attacks import LIMITS
from test_conversation import run_of, session_of, workspace_of
from aiev.sandbox.api import open_sandbox

# A program that was started in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
program = sys.stdin.read()
with open_sandbox(sys.argv[2]) as sandbox:
    workspace = workspace_of(sandbox, keep_variables=True)
    print("open", flush=True)
    while True:
        session = session_of(workspace, *[program] * 4)
        for _ in range(4):
            run_of(session)
"""
BUSY = """
import os, subprocess, sys, time
open("kept", "ab").write(bytes(100000))
open("/tmp/scratch", "ab").write(bytes(100000))
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARK])]
if not os.fork():
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", MARK])
time.sleep(DELAY)
"""


def processes_of(mark):
    """Command lines of the processes that name the mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in command and int(path.parent.name) != os.getpid():
            found.append((int(path.parent.name), command))
    return found


def killed(backend, mark, folder, luck):
    """Hold a conversation in a process of its own, and end that at a random moment in a random
    way; how it ended."""
    here = str(Path(__file__).parent)
    paths = [here, str(Path(here).parent), str(Path(here).parents[1] / "scripts")]
    process = subprocess.Popen(
        [sys.executable, "-c", TALK, json.dumps(paths), backend, mark],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    delay = luck.choice([0, 0.05, 600])
    process.stdin.write(BUSY.replace("MARK", repr(mark)).replace("DELAY", str(delay)))
    process.stdin.close()
    assert process.stdout.readline() == "open\n"
    time.sleep(luck.uniform(0, 1))
    process.send_signal(
        luck.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    )
    process.stdout.close()
    return process.wait(30)


@pytest.mark.parametrize(
    ("backend", "count"),
    [
        ("bubblewrap", 4),
        pytest.param("bubblewrap", 50, marks=pytest.mark.nightly),
        pytest.param("docker", 50, marks=[pytest.mark.nightly, pytest.mark.real]),
    ],
)
def test_conversations_that_are_killed_leave_nothing(request, tmp_path, backend, count):
    """No process and no file; a container goes when its owner has gone (test_docker.py), at the
    latest when the next sandbox is opened."""
    opened = request.getfixturevalue(backend)
    mark, luck = f"talk-{os.getpid()}-{count}", random.Random(count)
    turn = threading.Lock()

    def one(number):
        with turn:
            own = random.Random(luck.random())
        return killed(backend, mark, tmp_path, own)

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(one, range(count)))
    assert all(codes)
    deadline = time.monotonic() + 20
    while (left := processes_of(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert list(tmp_path.iterdir()) == []
    # And who comes next finds a sandbox that works.
    done = run_of(session_of(workspace_of(opened), "print('ours')"))
    assert done.text == "ours\n"
