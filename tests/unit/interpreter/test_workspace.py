"""Runs of a conversation in a real box: what stays for the next one, and what cannot."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiev.interpreter.workspace import REFUSED, Run, State, Workspace, unpacked
from aiev.languages.interpreter import Interpreter
from aiev.sandbox.api import SITE_PACKAGES, Limits, open_sandbox
from aiev.sandbox.packages.service import InstallFailed

LIMITS = Limits(memory_mib=256, disk_mib=16, file_mib=4, wall_seconds=20)


class Packages:
    """Has a module `demo`, and refuses other names."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "demo.py").write_text("VALUE = 7\n")
        for place in (folder, *list(folder.parents)[:2]):
            place.chmod(0o755)  # pytest's folders are closed to others

    def layer(self, requirements):
        if set(requirements) != {"demo"}:
            raise InstallFailed(f"{requirements[0]} is not on the list.")
        return SimpleNamespace(mounts={SITE_PACKAGES: self.folder}, packages=[])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with open_sandbox("bubblewrap") as sandbox:
        yield Workspace(Interpreter(sandbox, LIMITS, Packages(tmp_path_factory.mktemp("layer"))))


def test_files_stay_and_a_state_is_not_changed_by_a_later_run(workspace):
    first = workspace.run(State(), Run("open('a.txt', 'w').write('one'); print(1)"))
    assert (first.result.outcome, first.text, first.kept) == ("passed", "1\n", True)
    assert dict(first.state.files) == {"a.txt": b"one"}
    program = "import os; os.mkdir('d'); os.rename('a.txt', 'd/b'); print(open('d/b').read())"
    second = workspace.run(first.state, Run(program))
    assert second.text == "one\n" and dict(second.state.files) == {"d/b": b"one"}
    assert dict(first.state.files) == {"a.txt": b"one"}
    third = workspace.run(second.state, Run("", "cat d/b; rm -r d"))
    assert third.text == "one" and dict(third.state.files) == {}


@pytest.mark.parametrize(
    ("program", "outcome", "exit_code"),
    [
        ("raise SystemExit(3)", "failed", 3),
        ("assert 1 == 2", "failed", 1),
        ("import os; os.kill(os.getpid(), 11)", "crashed", None),
    ],
)
def test_a_failed_run_ends_as_it_does_without_a_conversation_and_keeps_its_files(
    workspace, program, outcome, exit_code
):
    done = workspace.run(State(), Run(f"open('a', 'w').write('x')\n{program}"))
    assert (done.result.outcome, done.result.exit_code) == (outcome, exit_code)
    assert done.kept and dict(done.state.files) == {"a": b"x"} and done.text


def test_a_run_that_is_stopped_leaves_the_files_from_before(workspace):
    short = Interpreter(workspace.interpreter.sandbox, Limits(wall_seconds=0.5), None)
    before = State({"a": b"x"})
    done = Workspace(short).run(before, Run("import os, time; os.remove('a'); time.sleep(9)"))
    assert done.result.outcome == "timed-out" and not done.kept and done.state == before
    assert "longer than the time limit" in done.text


def test_a_full_disk_loses_the_files_and_not_how_the_program_ended(workspace):
    program = "import contextlib\nprint('begun')\nwith contextlib.suppress(OSError):\n"
    program += "    for n in range(99): open(str(n), 'wb').write(bytes(1 << 20))"
    before = State({"a": b"x"})
    done = workspace.run(before, Run(program))
    assert (done.result.outcome, done.text, done.result.stderr) == ("passed", "begun\n", "")
    assert not done.kept and done.state == before


def test_a_program_that_uses_up_its_cpu_time_is_told_so(workspace):
    limits = Limits(memory_mib=256, cpu_seconds=1, wall_seconds=60)
    short = Workspace(Interpreter(workspace.interpreter.sandbox, limits, None))
    ignoring = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    for program in ("while True: pass", f"{ignoring}while True: pass"):
        done = short.run(State(), Run(program))
        assert done.result.outcome == "timed-out" and "longer than" in done.text
        assert "keep.py" not in done.text


def test_packages_are_asked_for_and_stay(workspace):
    asked = []
    run = Run("import demo; print(demo.VALUE)", "pip install demo")
    done = workspace.run(State(), run, lambda names: not asked.append(names))
    assert done.text == "7\n" and asked == [("demo",)]
    again = workspace.run(done.state, run, lambda names: not asked.append(names))
    later = workspace.run(again.state, Run("import demo; print(demo.VALUE + 1)"))
    assert later.text == "8\n" and asked == [("demo",)]


def test_a_package_that_is_not_allowed_is_not_installed_and_the_program_does_not_run(workspace):
    run = Run("print('ran')", "pip install demo")
    done = workspace.run(State({"a": b""}), run, lambda _: False)
    assert done.result.outcome == "install-failed" and REFUSED in done.text
    assert done.state == State({"a": b""})
    unlisted = workspace.run(State(), Run("print('ran')", "pip install evil"))
    assert "not on the list" in unlisted.text and unlisted.state == State()


def test_what_does_not_fit_and_what_is_no_file_is_not_kept(workspace):
    program = (
        "import os\n"
        "open('big', 'wb').write(bytes(3 << 20)); open('small', 'w').write('s')\n"
        "os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe'); os.mkdir('empty')\n"
        "open(b'\\xff', 'w'); open('a\\nb', 'w')\n"
    )
    done = workspace.run(State(), Run(program))
    assert done.result.outcome == "passed" and dict(done.state.files) == {"small": b"s"}


def test_a_program_cannot_leave_a_file_that_takes_part_in_the_next_run(workspace):
    """It writes the packed files itself: with a stand-in for a module that packing imports."""
    files = {".keep/json.py": b"print('mine')", ".shell/bin/pip": b"", "main.py": b"print('mine')"}
    done = workspace.run(State(files), Run("print('ours')"))
    assert done.text == "ours\n" and dict(done.state.files) == {}


def spoken(workspace, *programs, state=None):
    """What each program of a conversation prints, whose variables stay."""
    keeping = Workspace(workspace.interpreter, keep_variables=True)
    state, said = state or State(), []
    for program in programs:
        done = keeping.run(state, Run(program))
        state = done.state
        said.append(done.text)
    return said


def test_variables_stay_by_option_and_not_by_default(workspace):
    said = spoken(workspace, "x = [1]\ny = x", "y.append(2); print(x)", "print(len(x))")
    assert said == ["", "[1, 2]\n", "2\n"]
    done = workspace.run(State(), Run("x = 1"))
    assert "NameError" in workspace.run(done.state, Run("print(x)")).text


def test_imports_functions_and_classes_stay_with_what_they_need(workspace):
    first = "import os.path\nfrom math import sqrt as root, pi\nN = 3\nprint('once')\n"
    first += "def f(x=N):\n    return root(x * x)\nclass A:\n    def __init__(self): self.v = f()\n"
    said = spoken(workspace, f"{first}a = A()", "print(f(), a.v, A().v, os.path.sep, int(pi))")
    assert said == ["once\n", "3.0 3.0 3.0 / 3\n"]
    said = spoken(workspace, "def f(): return 1", "def f(): return 2", "print(f())", "del f", "f()")
    assert said[2] == "2\n" and "NameError" in said[4]


def test_what_cannot_stay_is_gone_and_the_rest_stays(workspace):
    first = "import threading\nx, lock, g = 1, threading.Lock(), (n for n in 'a')\nh = lambda: 1\n"
    said = spoken(workspace, first, "print(x, 'lock' in globals(), 'g' in globals())")
    assert said[1] == "1 False False\n"


def test_variables_of_a_program_that_failed_stay_and_tracebacks_are_pythons_own(workspace):
    said = spoken(workspace, "x = 1\nassert x == 2", "print(x)", "raise SystemExit(0)", "print(x)")
    assert said[0].startswith('Traceback (most recent call last):\n  File "main.py", line 2')
    assert said[0].endswith("x is 1") and said[1] == "1\n" and said[3] == "1\n"


def test_variables_stay_over_shell_commands(workspace):
    keeping = Workspace(workspace.interpreter, keep_variables=True)
    state = keeping.run(State(), Run("x = 1", "echo a > a")).state
    state = keeping.run(state, Run("", "echo b > b")).state
    assert keeping.run(state, Run("print(x, open('b').read())", "cat a")).text == "a\n1 b\n\n"


def test_variables_that_are_garbage_harm_the_box_alone(workspace):
    """A program may write there what it likes; no other place than a box reads it."""
    keeping = Workspace(workspace.interpreter, keep_variables=True)
    program = "import atexit\natexit.register(lambda: open('.keep/variables', 'w').write('x'))"
    done = keeping.run(State(), Run(program))
    assert done.state.variables == b"x"
    assert keeping.run(done.state, Run("print(1)")).text == "1\n"


HOSTILE = [
    b"", b"[]", b"x\n", b"{}\n", b"[[1, 2]]\nab", b'[["a", 3]]\nab', b'[["a", -1]]\n',
    b'[["../a", 0]]\n', b'[["/a", 0]]\n', b'[["a", 0], ["a/b", 0]]\n', b'[["a\\u0000", 0]]\n',
    b'[["a", 1.0]]\nx', b'[["a", true]]\nx', b"[" * 9000 + b"\n",
    b"[" + b'["a", 0], ' * 300_000 + b'["a", 0]]\n',
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE)
def test_what_a_program_wrote_in_the_place_of_packed_files_is_refused_or_harmless(content):
    assert not unpacked(content)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "é"]), st.binary(max_size=9)))
def test_packed_files_are_read_back(files):
    head = json.dumps([[name, len(content)] for name, content in files.items()])
    assert unpacked(head.encode() + b"\n" + b"".join(files.values())) == files
