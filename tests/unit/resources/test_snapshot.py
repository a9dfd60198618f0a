"""Models as a hub has them: pinned by commit, checked by digest, downloads that go on."""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aiev.core.errors import UserError
from aiev.resources.declare import declared_snapshot
from aiev.resources.fetch import MIRROR
from aiev.resources.snapshot import fetch_snapshot

REPO, COMMIT = "maker/model", "0123456789abcdef0123456789abcdef01234567"
WANTED = ("config.json", "*.safetensors", "tokenizer.json")
LARGE = b"shard" * 100_000


class Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of a hub: a commit's list of files, and the files. The first
    connection for a file breaks after `server.limit` bytes."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool):
        if self.path.startswith(f"/api/models/{REPO}/revision/{COMMIT}"):
            self.reply(json.dumps(self.listing()).encode(), body, {})
            return
        name = self.path.removeprefix(f"/{REPO}/resolve/{COMMIT}/").partition("?")[0]
        data = self.server.files.get(name)
        if data is None:
            code = "EntryNotFound" if self.path.startswith(f"/{REPO}/resolve/{COMMIT}") else ""
            self.send_response(404)
            self.send_header("X-Error-Code", code or "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        self.reply(data, body, headers)

    def listing(self):
        siblings = []
        for name, data in self.server.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            one = {"rfilename": name, "size": len(data), "blobId": blob}
            if len(data) > 1000:
                sha256 = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
            siblings.append(one | self.server.said.get(name, {}))
        return {"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": siblings}

    def reply(self, data: bytes, body: bool, headers: dict[str, str]):
        span = self.headers.get("Range", "")
        first = int(span.removeprefix("bytes=").partition("-")[0]) if span else 0
        if body:
            self.server.starts.append((self.path, first))
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        for name, value in {**headers, "Content-Length": str(len(data) - first)}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            limit = None
            if len(data) > 1000:
                limit, self.server.limit = self.server.limit, None
            self.wfile.write(data[first:][:limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files = {
        "config.json": b"{}",
        "tokenizer.json": b'{"a": 1}',
        "model-00001-of-00002.safetensors": LARGE,
        "model-00002-of-00002.safetensors": LARGE[:5000],
        "pytorch_model.bin": b"pickle",
    }
    server.said, server.starts, server.limit = {}, [], None
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv(MIRROR, raising=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def declare(**more):
    return {"hub": REPO, "revision": COMMIT, "licence": "MIT", **more}


def files_of(hub, *names):
    return {
        name: {"sha256": hashlib.sha256(hub.files[name]).hexdigest(), "bytes": len(hub.files[name])}
        for name in names
    }


def fetch(tmp_path, **more):
    target = tmp_path / "snapshots/model"
    fetch_snapshot(declared_snapshot(declare(**more)), WANTED, target, tmp_path / "work")
    return target


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_that_inference_reads_and_nothing_else(hub, tmp_path):
    target = fetch(tmp_path)
    assert content(target) == {n: d for n, d in hub.files.items() if n != "pytorch_model.bin"}
    assert not (tmp_path / "work").exists()


def test_the_declared_files_and_nothing_else(hub, tmp_path):
    names = ("config.json", "model-00001-of-00002.safetensors")
    assert sorted(content(fetch(tmp_path, files=files_of(hub, *names)))) == sorted(names)


def test_a_download_goes_on_where_it_was_cut(hub, tmp_path, monkeypatch):
    # It writes whole chunks only, of 10 MiB.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.limit = 200_000
    target = fetch(tmp_path)
    assert (target / "model-00001-of-00002.safetensors").read_bytes() == LARGE
    starts = [first for path, first in hub.starts if "00001" in path]
    assert starts[0] == 0 and starts[-1] >= 100_000


@pytest.mark.parametrize(
    "said",
    [
        {"lfs": {"sha256": "0" * 64, "size": 5000, "pointerSize": 1}},
        {"size": 4999},
    ],
)
def test_bytes_that_are_not_the_commit_s(said, hub, tmp_path):
    hub.said = {"model-00002-of-00002.safetensors": said}
    with pytest.raises(UserError, match=r"00002-of-00002.safetensors has 5000 bytes"):
        fetch(tmp_path)
    assert not (tmp_path / "snapshots/model").exists()
    # What was right stays, and only the rest is fetched again.
    hub.said, hub.starts = {}, []
    fetch(tmp_path)
    assert not [path for path, _ in hub.starts if "00001" in path]


def test_a_small_file_is_checked_by_its_blob(hub, tmp_path):
    hub.said = {"config.json": {"blobId": "0" * 40}}
    with pytest.raises(UserError, match=r"config.json has 2 bytes"):
        fetch(tmp_path)


def test_a_declared_digest_counts_whatever_the_hub_says(hub, tmp_path):
    files = files_of(hub, "config.json")
    files["config.json"]["sha256"] = "0" * 64
    with pytest.raises(UserError, match="are declared"):
        fetch(tmp_path, files=files)


def test_a_declared_file_that_the_hub_does_not_have(hub, tmp_path):
    files = {"model.safetensors": {"sha256": "0" * 64, "bytes": 3}}
    with pytest.raises(UserError, match=r"has no model.safetensors at 0123"):
        fetch(tmp_path, files=files)


def test_pickles_are_not_fetched(hub, tmp_path):
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(UserError, match="no safetensors") as caught:
        fetch(tmp_path)
    assert "models.student.checkpoint" in caught.value.hint


def test_a_commit_that_does_not_exist(hub, tmp_path):
    with pytest.raises(UserError, match="does not have this") as caught:
        fetch(tmp_path, revision="f" * 40)
    assert "f" * 40 in caught.value.where


def test_no_network(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(UserError, match="the hub does not answer") as caught:
        fetch(tmp_path)
    assert "what was fetched stays" in caught.value.hint


def test_a_mirror_directory(hub, tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / REPO
    folder.mkdir(parents=True)
    for name, data in hub.files.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv(MIRROR, str(tmp_path / "mirror"))
    with pytest.raises(UserError, match="cannot be checked"):
        fetch(tmp_path)
    files = files_of(hub, "config.json", "model-00001-of-00002.safetensors")
    assert len(content(fetch(tmp_path, files=files))) == 2
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(UserError, match=r"config.json has 2 bytes"):
        fetch(tmp_path / "again", files=files)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config.json is missing"):
        fetch(tmp_path / "again", files=files)
    assert hub.starts == []


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123456", COMMIT.upper(), COMMIT + "0", 7])
def test_a_revision_that_may_move(revision):
    with pytest.raises(UserError, match="is no commit") as caught:
        declared_snapshot(declare(revision=revision), "here")
    assert caught.value.where == "here" and "40 hex digits" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"hub": "model"},
        {"hub": "a/b/c"},
        {"licence": ""},
        {"file": "x"},
        {"files": ["config.json"]},
        {"files": {"../x": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {".x": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": {"x": {"sha256": "0" * 64}}},
        {"files": {"x": {"sha256": "0", "bytes": 1}}},
        {"files": {"x": {"sha256": "0" * 64, "bytes": True}}},
        {"shape": "llama"},
    ],
)
def test_a_bad_declaration(changes):
    with pytest.raises(UserError, match="wrong declaration"):
        declared_snapshot(declare() | changes)
