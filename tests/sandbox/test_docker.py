"""The Docker backend's own: warm containers, what becomes of lost ones, and what is left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from command import aiev

from aiev.core.errors import UserError
from aiev.sandbox.api import Limits, Request, open_sandbox
from aiev.sandbox.docker import backend, container
from aiev.sandbox.docker.pool import Member, Pool

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
OWNER = f"{backend.LABEL}.owner"
HELLO = Request({"main.py": "print('hello')"}, ("python", "main.py"), Limits(wall_seconds=20))


def program(text, **limits):
    return Request(
        {"main.py": textwrap.dedent(text)}, ("python", "main.py"), Limits(wall_seconds=20, **limits)
    )


def warm(sandbox):
    """The containers that wait for a run, by identity."""
    return [member.container.identity for member in sandbox.pool.idle]


def ours(sandbox, pid=None):
    """What the engine has of a process's containers, this one's if no other is named."""
    label = f"{OWNER}={backend.owner_of(pid or os.getpid())}"
    return {
        found.id
        for found in sandbox.client.containers.list(
            all=True, filters={"label": label}, ignore_removed=True
        )
    }


def until(done, seconds=20.0):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def one(docker):
    """A sandbox of a single container of its own."""
    with open_sandbox("docker", {"containers": 1}) as opened:
        yield opened


# The pool


def test_a_container_is_used_again(one):
    first = warm(one)
    assert [one.run(HELLO).stdout for _ in range(3)] == ["hello\n"] * 3
    assert warm(one) == first and len(first) == 1


def test_a_container_is_replaced_after_so_many_runs(docker):
    with open_sandbox("docker", {"containers": 1, "runs": 3}) as sandbox:  # the self test is one
        first = warm(sandbox)
        sandbox.run(HELLO)
        assert warm(sandbox) == first
        sandbox.run(HELLO)
        assert warm(sandbox) == []
        assert sandbox.run(HELLO).stdout == "hello\n"
        assert len(warm(sandbox)) == 1 and warm(sandbox) != first


def test_a_fresh_container_for_each_run(docker):
    before = ours(docker)
    with open_sandbox("docker", {"runs": 1}) as sandbox:
        assert [sandbox.run(HELLO).stdout for _ in range(2)] == ["hello\n"] * 2
        assert warm(sandbox) == []
        until(lambda: ours(sandbox) == before)


def test_another_shape_takes_the_place_of_an_idle_one(one):
    first = warm(one)
    assert one.run(program("print(1)", memory_mib=300)).stdout == "1\n"
    assert len(warm(one)) == 1 and warm(one) != first


def test_a_layer_made_anew_in_the_same_place_is_seen(one, tmp_path):
    for number in (1, 2):
        layer = tmp_path / "layer"
        layer.mkdir(mode=0o755)
        (layer / "number.txt").write_text(str(number))
        code = {"main.py": "print(open('/layer/number.txt').read())"}
        request = Request(code, ("python", "main.py"), mounts={"/layer": layer})
        assert one.run(request).stdout == f"{number}\n"
        layer.rename(tmp_path / str(number))


def test_many_threads_share_few_containers(docker):
    before, most = ours(docker), 0
    with open_sandbox("docker", {"containers": 2}) as sandbox, ThreadPoolExecutor(8) as threads:
        shapes = [program(f"print({n})", processes=60 + n % 3) for n in range(12)]
        runs = [threads.submit(sandbox.run, request) for request in shapes]
        while not all(run.done() for run in runs):
            most = max(most, sandbox.pool.count)
            time.sleep(0.01)
        assert [run.result().stdout for run in runs] == [f"{n}\n" for n in range(12)]
        assert most == 2 and sandbox.pool.count <= 2
    assert ours(docker) == before, "a container is left when the sandbox is closed"


class Fake:
    unusable_reason = ""
    removed = 0

    def remove(self):
        self.removed += 1


def test_a_lease_that_fails_frees_its_place_for_the_next():
    made = []
    pool = Pool(lambda shape: made.append(Fake()) or made[-1], limit=1, runs=9)
    inside, go = threading.Event(), threading.Event()

    def fail():
        with suppress(KeyboardInterrupt), pool.lease("a"):
            inside.set()
            go.wait(9)
            raise KeyboardInterrupt

    def wait():
        with pool.lease("b"):
            return len(made)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(fail)
        inside.wait(9)
        waiting = threads.submit(wait)
        time.sleep(0.1)
        assert not waiting.done()
        go.set()
        assert waiting.result(9) == 2
    assert (made[0].removed, made[1].removed, pool.count) == (1, 0, 1)


def test_a_start_that_fails_keeps_no_place():
    def fail(shape):
        raise UserError("no")

    pool = Pool(fail, limit=1, runs=9)
    for _ in range(2):
        with pytest.raises(UserError), pool.lease("a"):
            pass
    assert pool.count == 0


def test_a_container_in_use_is_removed_after_the_pool_is_closed():
    pool = Pool(lambda shape: Fake(), limit=1, runs=9)
    with pool.lease("a") as used:
        pool.close()
    assert used.removed == 1 and pool.count == 0 and not pool.idle


# Containers that die


class Mortal(Fake):
    """A container that may be dead, and may take each run with it."""

    def __init__(self, dead=False, deadly=False):
        self.dead, self.deadly = dead, deadly

    def run(self, header, blobs, request):
        if self.dead:
            raise container.NotStarted("it had ended before")
        if self.deadly:
            raise container.ContainerDied("gone")
        return "its record"


def of_containers(idle, later):
    """A sandbox with these that wait, and these to be started."""
    sandbox = backend.Docker(None, "", {}, len(idle), 9)
    sandbox.pool = Pool(lambda shape: later.pop(0), len(idle), 9)
    shape = backend.shape_of(HELLO)
    sandbox.pool.idle = [Member(shape, one) for one in idle]
    sandbox.pool.count = len(idle)
    return sandbox


def test_an_engine_that_started_anew_costs_no_run():
    idle, later = [Mortal(dead=True) for _ in range(8)], [Mortal()]
    sandbox = of_containers(idle, list(later))
    assert sandbox.run(HELLO) == "its record"
    assert [one.removed for one in idle] == [1] * 8
    assert [member.container for member in sandbox.pool.idle] == later and sandbox.pool.count == 1


def test_a_run_is_lost_with_the_third_container_that_took_it():
    idle = [Mortal(dead=True), Mortal(dead=True)]
    assert of_containers(idle, [Mortal(deadly=True)] * 2 + [Mortal()]).run(HELLO) == "its record"
    result = of_containers(idle, [Mortal(deadly=True)] * 3).run(HELLO)
    assert result.outcome == "crashed"


def test_a_program_that_never_ran_has_no_record():
    with pytest.raises(UserError, match="cannot start a container"):
        of_containers([Mortal(dead=True)], [Mortal(dead=True)] * 3).run(HELLO)


def test_containers_that_all_died_idle_are_replaced(docker):
    with open_sandbox("docker", {"containers": 4}) as sandbox, ThreadPoolExecutor(4) as threads:
        slow = program("import time; time.sleep(1)")
        list(threads.map(sandbox.run, [slow] * 4))
        dead = warm(sandbox)
        for identity in dead:
            sandbox.client.api.remove_container(identity, force=True)
        assert len(dead) == 4 and sandbox.run(HELLO).stdout == "hello\n"
        assert len(warm(sandbox)) == 1


def test_a_container_that_died_idle_is_replaced(one):
    first = warm(one)
    one.client.api.remove_container(first[0], force=True)
    assert one.run(HELLO).stdout == "hello\n"
    assert warm(one) and warm(one) != first


def test_a_worker_killed_in_mid_run_does_not_cost_the_run(one):
    first = warm(one)[0]
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(one.run, program("import time; time.sleep(1); print('whole')"))
        time.sleep(0.5)
        one.client.api.kill(first)
        assert running.result().stdout == "whole\n"
    assert first not in warm(one)


def test_a_worker_that_is_lost_each_time_ends_the_run(one, monkeypatch):
    def lost(*_):
        raise container.ContainerDied("gone")

    with monkeypatch.context() as patch:
        patch.setattr(container.Container, "run", lost)
        assert one.run(HELLO).outcome == "crashed"
    assert warm(one) == [] and one.run(HELLO).stdout == "hello\n"


def test_a_worker_that_does_not_answer_is_given_up(one, monkeypatch):
    first = warm(one)[0]
    monkeypatch.setattr(container, "GRACE", 1.0)
    one.client.api.pause(first)
    result = one.run(Request({"main.py": ""}, ("python", "main.py"), Limits(wall_seconds=0.5)))
    assert (result.outcome, result.exit_code) == ("timed-out", None)
    assert warm(one) == []
    until(lambda: first not in ours(one))
    monkeypatch.undo()
    assert one.run(HELLO).stdout == "hello\n"


def test_a_container_that_cannot_be_tidied_is_replaced(one):
    first = warm(one)
    deep = """
        import os
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        print("deep")
        """
    assert one.run(program(deep)).stdout == "deep\n"
    assert warm(one) == [] and first
    assert one.run(program("import os; print(os.listdir())")).stdout == "['main.py']\n"


# What is left behind


def test_an_owner_that_is_killed_leaves_nothing(docker):
    code = """
    from aiev.sandbox.api import Limits, Request, open_sandbox
    with open_sandbox("docker", {"containers": 1}) as sandbox:
        print("open", flush=True)
        sandbox.run(Request({"x.py": "import time; time.sleep(99)"}, ("python", "x.py"),
                            Limits(wall_seconds=99)))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "open\n"
        time.sleep(0.5)  # so that it is in its run
        label = f"{OWNER}={backend.owner_of(owner.pid)}"
        found = docker.client.containers.list(filters={"label": label})
        assert len(found) == 1
        owner.send_signal(signal.SIGKILL)
    until(
        lambda: (
            not docker.client.containers.list(
                all=True, filters={"label": label}, ignore_removed=True
            )
        )
    )


def test_only_what_dead_owners_left_is_swept(docker):
    api, image = docker.client.api, docker.image
    place = backend.owner_of(os.getpid()).rsplit("/", 2)[0]
    dead = subprocess.Popen(["true"])
    dead.wait()
    owners = {
        "dead": f"{place}/{dead.pid}/1",
        "a later process of the same number": f"{place}/{os.getpid()}/1",
        "alive": backend.owner_of(os.getpid()),
        "of another machine": f"other/pid:[1]/{dead.pid}/1",
        "without a name": "",
        "not a number": f"{place}/x/1",
    }
    made = {
        name: api.create_container(image, ["true"], labels={backend.LABEL: "1", OWNER: owner})["Id"]
        for name, owner in owners.items()
    }
    made["without our label"] = api.create_container(image, ["true"], labels={OWNER: "x"})["Id"]
    try:
        with open_sandbox("docker", {"containers": 1}):
            there = {
                found.id for found in docker.client.containers.list(all=True, ignore_removed=True)
            }
        swept = {name for name, identity in made.items() if identity not in there}
        assert swept == {"dead", "a later process of the same number"}
    finally:
        for identity in made.values():
            with suppress(Exception):
                api.remove_container(identity, force=True)


# What the user has to fix


def refusal(**settings):
    with pytest.raises(UserError) as caught, open_sandbox("docker", settings):
        pass
    return str(caught.value)


def test_no_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "no container engine answers" in (text := refusal()) and "DOCKER_HOST" in text


def test_a_server_that_is_no_container_engine(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", "tcp://{}:{}".format(*server.getsockname()))

        def answer():
            with suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=answer, daemon=True).start()
        assert "no container engine answers" in refusal()


def test_no_image(docker):
    text = refusal(image="autocoder-none")
    assert "no image 'autocoder-none'" in text and "make sandbox-image" in text


def test_no_such_runtime(docker):
    assert "nonesuch" in refusal(runtime="nonesuch")


def test_an_image_with_another_python(docker, monkeypatch):
    monkeypatch.setattr(container, "sys", SimpleNamespace(version_info=(3, 99, 1)))
    text = refusal()
    assert "this is 3.99" in text and "make sandbox-image" in text


@pytest.mark.parametrize("lacks", ["MemoryLimit", "PidsLimit", "seccomp"])
def test_an_engine_that_cannot_isolate(docker, lacks):
    info = {"MemoryLimit": True, "PidsLimit": True, "SecurityOptions": ["name=seccomp"]}
    backend.check_engine(info)
    without = {"SecurityOptions": []} if lacks == "seccomp" else {lacks: False}
    with pytest.raises(UserError, match=lacks):
        backend.check_engine({**info, **without})


def test_the_image_is_not_made_without_an_engine(tmp_path):
    made = aiev("sandbox-image", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert made.returncode == 2 and "Traceback" not in made.stderr
    assert "no container engine answers" in made.stderr and "DOCKER_HOST" in made.stderr


def test_an_image_of_another_recipe_is_not_taken(docker, tmp_path, monkeypatch):
    (tmp_path / "packages.txt").write_text("another-package\n")
    monkeypatch.setattr("aiev.sandbox.docker.image.RECIPE", tmp_path)
    with pytest.raises(UserError, match="make sandbox-image"), open_sandbox("docker"):
        pass


def test_the_recipe_is_pinned_by_digest():
    lines = (ROOT / "envs" / "sandbox" / "Dockerfile").read_text("utf-8").splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases if base != "scratch")


def test_podman_is_not_trusted_with_a_runtime():
    info = {"SecurityOptions": ["name=seccomp"], "DefaultRuntime": "crun"}
    backend.check_engine(info, "crun", podman=True)
    with pytest.raises(UserError, match=r"'crun' and not 'runsc'"):
        backend.check_engine(info, "runsc", podman=True)


@contextmanager
def relay(engine, path):
    """A socket that leads to the engine; yields what ends it, as if the engine had stopped."""
    ends, server = [], socket.socket(socket.AF_UNIX)

    def copy(source, sink):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept():
        with suppress(OSError):
            while True:
                near, far = server.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(engine)
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    def stop():
        server.close()
        Path(path).unlink(missing_ok=True)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    server.bind(path)
    server.listen()
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield stop
    finally:
        stop()


def test_an_engine_that_stops_in_mid_run(docker, monkeypatch, tmp_path):
    engine = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")).path
    before = ours(docker)
    with relay(engine, f"{tmp_path}/engine.sock") as stop, ThreadPoolExecutor(1) as threads:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
        with open_sandbox("docker", {"containers": 1}) as sandbox:
            running = threads.submit(sandbox.run, program("import time; time.sleep(9)"))
            time.sleep(0.5)
            stop()
            with pytest.raises(UserError, match="cannot start a container"):
                running.result(9)
    until(lambda: ours(docker) == before)
