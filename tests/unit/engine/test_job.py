"""The job wrapper, as a rule starts it: a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from aiev.core.hashing import of_path
from aiev.core.process import identity
from aiev.sandbox.bubblewrap.executable import find_bwrap

SCRIPTS = Path(__file__).parents[3] / "scripts"
UPPER = "job.output('made').write_text(job.input('source').read_text().upper())"


class Project:
    """A directory with one script of one input `in.txt` and one output `out.txt`."""

    def __init__(self, root: Path):
        self.root = root
        (root / "in.txt").write_text("input")

    def write(self, body: str, options: str = "") -> None:
        text = (
            "import errno, os, signal, sys, time\n"
            "from aiev.core.errors import EndpointError, UserError\n"
            "from aiev.engine.job import run_job\n"
            "from aiev.core.log import log\n\n\n"
            f"def main(job):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n\n\n"
            f'run_job(main, inputs=("source",), outputs=("made",){options})\n'
        )
        (self.root / "work.py").write_text(text)

    def command(self, **options) -> list[str]:
        options = {"source": "in.txt", "made": "out.txt", "log": "logs/work.log", **options}
        return [sys.executable, "work.py", *(w for k, v in options.items() for w in (f"--{k}", v))]

    def start(self, prefix=(), environment=None, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [*prefix, *self.command(**options)],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **options) -> subprocess.CompletedProcess:
        process = self.start(**options)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def files(self) -> set[str]:
        """What lies beside the output."""
        return {p.name for p in self.root.iterdir()} - {"in.txt", "work.py", "logs", ".aiev"}

    def log(self) -> str:
        return (self.root / "logs/work.log").read_text("utf-8")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_job_makes_its_output_and_says_how(project):
    project.write(UPPER)
    done = project.run(params='{"a": 1}')
    assert (done.returncode, done.stderr, project.files()) == (0, "", {"out.txt"})
    assert (project.root / "out.txt").read_text() == "INPUT"
    note = json.loads((project.root / ".aiev/made/out.txt.json").read_text())
    assert note["rule"] == "work" and note["params"] == {"a": 1}
    assert note["input_paths"] == {"source": ["in.txt"]}
    assert str(project.root) not in json.dumps(note)


def test_only_what_a_job_narrows_itself_to_counts(project):
    narrow = ", narrow=lambda inputs, params: (inputs, {'used': params['used']})"
    project.write(f"print(sorted(job.params))\n{UPPER}", narrow)
    assert project.run(params='{"used": 1, "other": 1}').stdout == "['used']\n"
    assert project.run(params='{"used": 1, "other": 2}').stdout == ""
    assert project.run(params='{"used": 2, "other": 2}').stdout == "['used']\n"


def test_a_hit_runs_nothing(project):
    project.write(f"print('ran')\n{UPPER}")
    assert project.run().stdout == "ran\n"
    (project.root / "out.txt").unlink()
    again = project.run()
    assert (again.returncode, again.stdout) == (0, "") and "restored" in project.log()
    assert (project.root / "out.txt").read_text() == "INPUT"


@pytest.mark.parametrize("change", ["input", "params", "code"])
def test_what_matters_runs_again(change, project):
    project.write(f"print('ran')\n{UPPER}")
    project.run()
    if change == "input":
        (project.root / "in.txt").write_text("other")
    if change == "code":
        project.write(f"print('ran')\n{UPPER}\nprint('changed')")
    options = {"params": '{"a": 1}'} if change == "params" else {}
    assert project.run(**options).stdout.startswith("ran")


def test_a_job_that_is_not_stored_always_runs(project):
    project.write(f"print('ran')\n{UPPER}", ", stored=False")
    assert [project.run().stdout for _ in "ab"] == ["ran\n", "ran\n"]
    assert (project.root / ".aiev/made/out.txt.json").is_file()
    assert not (project.root / ".aiev/actions").exists()


def test_a_damaged_store_entry_is_made_again(project):
    project.write(f"print('ran')\n{UPPER}")
    project.run()
    (stored,) = (project.root / ".aiev/actions").rglob("made.0")
    stored.write_text("DAMAGED")
    again = project.run()
    assert (again.returncode, again.stdout) == (0, "ran\n") and "Traceback" not in again.stderr
    assert (project.root / "out.txt").read_text() == stored.read_text() == "INPUT"


@pytest.mark.parametrize(("error", "code"), [("UserError", 2), ("EndpointError", 3)])
def test_a_user_error_is_reported_without_a_traceback(error, code, project):
    project.write(f"raise {error}('too long: 7', where='in.txt, line 3', hint='make it shorter')")
    done = project.run()
    assert done.returncode == code
    assert done.stderr == ("work: too long: 7\n  where: in.txt, line 3\n  hint: make it shorter\n")
    assert "too long: 7" in project.log() and "Traceback" not in project.log()
    assert project.files() == set()


@pytest.mark.parametrize(
    "body",
    [
        "raise ExceptionGroup('tasks', [UserError('one', hint='mend it'), UserError('two')])",
        "raise ExceptionGroup('a', [ExceptionGroup('b', [UserError('one', hint='mend it')])])",
    ],
)
def test_a_user_error_in_a_task_group_is_reported_alike(body, project):
    project.write(body)
    done = project.run()
    assert done.returncode == 2
    assert done.stderr == "work: one\n  hint: mend it\n"


def test_a_defect_of_ours_is_one_line_and_a_traceback_in_the_log(project):
    project.write("job.output('made').write_text('half')\n1 / 0")
    done = project.run()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2
    assert "ZeroDivisionError: division by zero" in done.stderr and "logs/work.log" in done.stderr
    assert "Traceback" in project.log() and "1 / 0" in project.log()
    assert project.files() == set(), "nothing half-written"


def test_a_failure_leaves_the_earlier_output(project):
    project.write(UPPER)
    project.run()
    project.write("job.output('made').write_text('half')\nraise UserError('no')")
    assert project.run().returncode == 2
    assert (project.root / "out.txt").read_text() == "INPUT"


def test_a_missing_input_and_a_missing_output(project):
    project.write(UPPER)
    (project.root / "in.txt").unlink()
    done = project.run()
    assert done.returncode == 2 and "input does not exist" in done.stderr
    assert "in.txt" in done.stderr and "Traceback" not in done.stderr
    (project.root / "in.txt").write_text("x")
    project.write("pass")
    done = project.run()
    assert done.returncode == 1 and "out.txt" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_a_disk_error_is_a_user_error(code, project):
    project.write(f"raise OSError(errno.{code}, os.strerror(errno.{code}), 'big.bin')")
    done = project.run()
    assert done.returncode == 2 and "free some space" in done.stderr and "big.bin" in done.stderr


@pytest.mark.parametrize("code", ["EEXIST", "ENOTDIR", "EISDIR"])
def test_a_file_in_the_place_of_a_directory_is_a_user_error(code, project):
    project.write(f"raise OSError(errno.{code}, os.strerror(errno.{code}), 'results')")
    done = project.run()
    assert done.returncode == 2 and "where: results" in done.stderr
    assert "move it away" in done.stderr and "Traceback" not in project.log()


def test_a_file_that_may_not_grow_is_an_error_and_no_half_file(project):
    project.write(
        """
        import resource
        from aiev.core.files import write_text
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        write_text(job.output("made"), "x" * 5000)
        """
    )
    done = project.run()
    assert done.returncode == 2 and "cannot write" in done.stderr
    assert "Traceback" not in done.stderr and project.files() == set()


def test_a_disk_that_is_full(project):
    """A real one: the job sees a file system of 256 KiB in its directory's place."""
    project.write("job.output('made').write_bytes(b'x' * int(job.params['bytes']))")
    box = ["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--size", str(256 << 10)]
    root = project.root
    small = [str(find_bwrap()), *box, "--tmpfs", str(root / "small"), "--die-with-parent"]
    for name in ("in.txt", "work.py"):
        small += ["--ro-bind", str(root / name), str(root / "small" / name)]
    small += ["--chdir", str(root / "small")]
    (root / "small").mkdir()
    # 200 000 bytes are made, but their copy for the store does not fit: that is no failure.
    for size, code in ((1_000_000, 2), (200_000, 0), (100, 0)):
        done = project.run(prefix=small, params=json.dumps({"bytes": size}))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert ("No space left" in done.stderr) == bool(code)
    # Full already, so that the run is not told of it either.
    fill = ["sh", "-c", 'head -c 1000000 /dev/zero >other 2>/dev/null; exec "$@"', "fill"]
    project.write("raise UserError('a mistake')")
    done = project.run(prefix=[*small, *fill], environment={"AIEV_RUN": "a run"})
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr


def test_a_kill_leaves_nothing_that_looks_finished(project):
    body = "job.output('made').write_text('half')\nprint('half', flush=True)\ntime.sleep(60)"
    project.write(body)
    process = project.start()
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    assert not (project.root / "out.txt").exists()
    assert not (project.root / ".aiev/actions").exists()
    project.write(UPPER)
    assert project.run().returncode == 0 and (project.root / "out.txt").read_text() == "INPUT"


def test_the_next_run_clears_what_a_kill_left(project):
    body = "path = job.output('made')\nprint(path.exists(), flush=True)\npath.write_text('half')"
    body += "\nif 'slow' in job.input('source').read_text(): time.sleep(60)"
    project.write(
        "marker = job.scratch() / 'marker'\nprint(marker.exists(), flush=True)\n"
        "marker.touch()\n" + body + "\nif not os.environ.get('AGAIN'): time.sleep(60)"
    )
    process = project.start()
    assert process.stdout.readline() == "False\n"
    assert process.stdout.readline() == "False\n"
    time.sleep(0.1)
    process.kill()
    process.communicate()
    again = project.run(environment={"AGAIN": "1"})
    assert again.stdout == "True\nFalse\n", "the scratch directory survives, a half output does not"
    assert project.files() == {"out.txt"}
    assert not any((project.root / ".aiev/scratch").iterdir()), "scratch goes with success"


@pytest.mark.parametrize("restored", [False, True])
def test_half_files_of_killed_writers_go_and_others_stay(restored, project):
    """Of any process or action; not those of another output, whose writer may live."""
    project.write(UPPER)
    if restored:
        project.run()
    key = "0123456789ab"
    own = {".out.txt.7.part", f".out.txt.{key}.part", f"..out.txt.{key}.part.7.part"}
    others = {".out.txt.sha256.7.part", ".other.7.part", ".out.txt.swp", "out.txt.7.part"}
    for name in own | others:
        (project.root / name).write_text("half")
    (project.root / ".out.txt.8.part").mkdir()
    (project.root / ".out.txt.8.part/model.bin").write_text("half")
    assert project.run().returncode == 0
    assert project.files() == {"out.txt", *others}


def test_an_output_has_its_note_though_the_kill_came_while_scratch_was_removed(project):
    """Else the next run would take the new output for one that a person changed."""
    project.write(UPPER)
    project.run()
    (project.root / "in.txt").write_text("other")
    project.write(
        f"""
        import shutil
        rmtree = shutil.rmtree
        def killed(path, *rest, **options):
            if "scratch" in str(path):
                os.kill(os.getpid(), signal.SIGKILL)
            rmtree(path, *rest, **options)
        shutil.rmtree = killed
        (job.scratch() / "large").touch()
        {UPPER}
        """
    )
    assert project.run().returncode == -signal.SIGKILL
    assert (project.root / "out.txt").read_text() == "OTHER"
    note = json.loads((project.root / ".aiev/made/out.txt.json").read_text())
    assert note["sha256"] == of_path(project.root / "out.txt")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_short_and_cleans_up(number, code, project):
    project.write(
        "job.output('made').write_text('half')\n"
        "try:\n    print('half', flush=True)\n    time.sleep(60)\n"
        "finally:\n    print('cleaned', flush=True)"
    )
    process = project.start()
    assert process.stdout.readline() == "half\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (code, "cleaned\n")
    assert "Traceback" not in err and project.files() == set()
    assert number is signal.SIGTERM or "run the same command again" in err


def test_a_job_ends_soon_after_its_workflow(project):
    project.write("print('runs', flush=True)\ntime.sleep(60)")
    workflow = subprocess.Popen(["sleep", "60"])
    try:
        process = project.start(environment={"AIEV_WORKFLOW": identity(workflow.pid)})
        assert process.stdout.readline() == "runs\n"
        workflow.kill()
        workflow.wait()
        start = time.monotonic()
        process.communicate(timeout=10)
        assert process.returncode == 143 and time.monotonic() - start < 2
    finally:
        workflow.kill()


def test_a_process_with_the_same_number_is_another_workflow(project):
    project.write("print('runs', flush=True)\ntime.sleep(60)")
    process = project.start(environment={"AIEV_WORKFLOW": f"{os.getpid()}:1"})
    process.communicate(timeout=10)
    assert process.returncode == 143


def test_bad_parameters_are_no_traceback(project):
    project.write(UPPER)
    done = project.run(params="{not json")
    assert done.returncode != 0 and "Traceback" not in done.stderr


def test_execution_options_are_known_to_the_job_and_decide_nothing(project):
    project.write(f"print(job.execution['ledger'])\n{UPPER}")
    assert project.run(execution='{"ledger": "here"}').stdout == "here\n"
    first = (project.root / ".aiev/made/out.txt.json").read_text()
    assert project.run(execution='{"ledger": "there"}').stdout == "", "restored"
    assert (project.root / ".aiev/made/out.txt.json").read_text() == first
    assert "here" not in first


KILLED = """
import os, sys
def kill(event, arguments, left=[int(os.environ["KILL_AT"])]):
    if event == "os.rename":
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)
sys.addaudithook(kill)
"""


def test_a_job_that_is_killed_before_any_rename_leaves_no_output_that_looks_edited(project):
    """Before each file, note and store entry that it puts in place, one kill after another."""
    root = project.root
    project.write(f"exec({KILLED!r})\n{UPPER}")
    look = "from aiev.engine.tampering import changed_outputs; print(changed_outputs('tiny'))"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}

    def run(kill_at: int) -> int:
        made = "results/tiny/out.txt"
        process = project.start(made=made, environment={"KILL_AT": str(kill_at)})
        process.communicate(timeout=30)
        said = subprocess.run(
            [sys.executable, "-c", look], cwd=root, env=environment, capture_output=True, text=True
        )
        assert said.stdout == "[]\n", f"killed before rename {kill_at}: {said}"
        return process.returncode

    assert run(1000) == 0
    for kill_at in range(1, 20):
        (root / "in.txt").write_text(f"input {kill_at}")
        if run(kill_at) == 0:
            break
    assert kill_at > 3
    assert (root / "results/tiny/out.txt").read_text() == f"INPUT {kill_at}"


def test_a_fetch_that_was_killed_leaves_nothing_though_the_declaration_changed(
    project, tmp_path_factory
):
    project.write(
        f"""
        import hashlib
        from aiev.resources.declare import declared
        from aiev.resources.fetch import fetch
        exec({KILLED!r})
        data = job.input("source").read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        mirrors = [{{"kind": "url", "url": "https://nowhere.test"}}]
        value = {{"file": "model.bin", "sha256": digest, "bytes": len(data), "licence": "MIT"}}
        resource = declared(value | {{"mirrors": mirrors}})
        fetch(resource, job.output("made"), job.scratch() / "wheels")
        """
    )
    mirror = tmp_path_factory.mktemp("mirror")
    for content, kill_at, code in (("first", 1, -signal.SIGKILL), ("second", 1000, 0)):
        (project.root / "in.txt").write_text(content)
        (mirror / "model.bin").write_text(content)
        environment = {"AUTOCODER_MIRROR": str(mirror), "KILL_AT": str(kill_at)}
        done = project.run(environment=environment)
        assert done.returncode == code, done.stderr
        assert ("out.txt" in project.files()) == (code == 0)
        assert project.files() == ({"out.txt"} if code == 0 else set())
