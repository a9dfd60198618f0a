"""Packages: refused or resolved, kept on record and as layers, whatever a wheel holds.

The index is a folder of wheels made here; a test marked `real` asks the one that pip uses.
"""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import unavailable
from wheels import source_package, wheel

from aiev.core.errors import UserError
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.llm.ledger import Answer, Ledger
from aiev.sandbox.api import SITE_PACKAGES, Limits, Request, open_sandbox
from aiev.sandbox.packages import service as packages
from aiev.sandbox.packages.layers import unpack, work_folder
from aiev.sandbox.packages.resolver import Pip, environment, reason
from aiev.sandbox.packages.service import InstallFailed, Packages

SCRIPTS = Path(packages.__file__).parents[3]
NAMES = ("alpha", "beta", "gamma", "numpy", "scikit-learn", "opencv-python-headless", "PyYAML")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def make(tmp_path):
    def make(**settings):
        ledger = Ledger(tmp_path / "ledger", settings.pop("mode", "record"))
        return Packages(
            **{"records": ledger, "store": tmp_path / "store", "allow": NAMES, **settings}
        )

    return make


@pytest.fixture
def no_pip(monkeypatch):
    def refuse(*_):
        raise AssertionError("pip was started")

    monkeypatch.setattr(Pip, "run", refuse)


def place_of(layer) -> Path:
    return layer.mounts[SITE_PACKAGES]


def layers_in(store: Path) -> list[str]:
    """All that is there but locks."""
    return sorted(path.name for path in store.iterdir() if path.name not in (".locks", ".sweep"))


# What may be asked for


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "nympy",
            "nympy is not on the list of packages that may be installed. Did you mean numpy?",
        ),
        ("sklearn", "Did you mean scikit-learn?"),
        ("cv2", "Did you mean opencv-python-headless?"),
        ("pyaml", "Did you mean pyyaml?"),
        ("torch", "torch is not on the list of packages that may be installed."),
        ("Tor_Ch==2", "tor-ch is not on the list of packages that may be installed."),
        ("unittest", "unittest is a module of the standard library, and is not to be installed."),
        ("alpha @ https://there/alpha.whl", "alpha: packages come from the package index only."),
        ("./alpha.whl", "'./alpha.whl': only names of packages, with versions, can be installed."),
        ("git+https://there/alpha", "only names of packages"),
        ("alpha===/../../wheels/alpha-1-py3-none-any.whl", "from the package index only"),
        ("--requirement r.txt", "only names of packages"),
        ("--index-url http://there", "only names of packages"),
        ("alpha beta", "only names of packages"),
        ("alpha==1\n--pre", "only names of packages"),
        ("-h", "only names of packages"),
        ("", "only names of packages"),
        ("beta", "beta is not on the list of packages that may be installed."),
    ],
)
def test_what_may_not_be_asked_for(make, no_pip, text, said):
    with pytest.raises(InstallFailed) as failure:
        make(deny=["Beta"]).layer(["alpha", text])
    assert str(failure.value).endswith(said) or said in str(failure.value)


# Layers and records


def test_packages_with_what_they_need(make, index, tmp_path, monkeypatch):
    wheel(index, "alpha", "1.0", needs=["beta>=2"])
    wheel(index, "beta", "2.0", {"beta_data/x.txt": "x"})
    wheel(index, "beta", "1.0")
    monkeypatch.chdir(tmp_path)  # the pipeline's folders are relative to the project's
    packages = make(allow=["Alpha"], records=Ledger(Path("ledger")), store=Path("store"))
    layer = packages.layer(["ALPHA >=1", "alpha>=1"])
    assert [(p["name"], p["version"]) for p in layer.packages] == [
        ("alpha", "1.0"),
        ("beta", "2.0"),
    ]
    assert all(len(p["sha256"]) == 64 for p in layer.packages)
    place = place_of(layer)
    assert place.name == layer.digest and layers_in(tmp_path / "store") == [layer.digest]
    assert (place / "beta_data" / "x.txt").read_text() == "x"
    for path in [place, *place.rglob("*")]:
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH and (path.is_dir() or not mode & 0o222), path
    (record,) = (tmp_path / "ledger").rglob("*.json")
    assert json.loads(record.read_text())["request"]["requirements"] == ["alpha>=1"]
    assert str(tmp_path) not in record.read_text()


def test_a_resolution_stays_though_the_index_moves_on(make, index, request):
    wheel(index, "alpha", "1.0")
    before = make().layer(["alpha"])
    wheel(index, "alpha", "2.0")
    request.getfixturevalue("no_pip")
    assert make().layer(["alpha"]) == before == make(mode="replay").layer(["alpha"])


def test_a_layer_that_is_gone_is_made_again_the_same(make, index):
    wheel(index, "alpha", "1.0")
    before = make().layer(["alpha"])
    content = {path: path.is_file() and path.read_bytes() for path in place_of(before).rglob("*")}
    wheel(index, "alpha", "2.0")
    shutil.rmtree(place_of(before))
    assert make(mode="replay").layer(["alpha"]) == before
    assert content == {p: p.is_file() and p.read_bytes() for p in place_of(before).rglob("*")}


def test_a_wheel_with_another_digest_is_not_installed(make, index, tmp_path):
    wheel(index, "alpha", "1.0")
    layer = make().layer(["alpha"])
    shutil.rmtree(place_of(layer))
    wheel(index, "alpha", "1.0", {"alpha.py": "import os; os.system('evil')"})
    with pytest.raises(UserError, match="packages on record cannot be installed here"):
        make().layer(["alpha"])
    assert layers_in(tmp_path / "store") == []


def test_replay_resolves_nothing(make, no_pip):
    with pytest.raises(UserError, match="replay: no answer on record"):
        make(mode="replay").layer(["beta<2", "alpha"])


def test_a_damaged_record_is_made_again_but_not_in_replay(make, index, tmp_path):
    wheel(index, "alpha")
    layer = make().layer(["alpha"])
    (record,) = (tmp_path / "ledger").rglob("*.json")
    record.write_text(record.read_text().replace("1.0", "2.0"))
    with pytest.raises(UserError, match="replay: this ledger entry is damaged"):
        make(mode="replay").layer(["alpha"])
    assert make().layer(["alpha"]) == layer


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "[]",
        '{"failed": "", "limits": {}, "packages": [{"name": "a"}]}',
        '{"failed": "", "limits": {}, "packages": [{"name": "-r", "version": "1", "sha256": ""}]}',
        '{"failed": "", "limits": {}, "packages": [{"name": "A", "version": "1", "sha256": "'
        + "0" * 64
        + '"}]}',
    ],
)
def test_a_ledger_of_somebody_else_names_packages_or_is_refused(make, index, tmp_path, text):
    wheel(index, "alpha")
    make().layer(["alpha"])
    ledger = Ledger(tmp_path / "ledger")
    (record,) = ledger.root.rglob("*.json")
    ledger.add(json.loads(record.read_text())["request"], Answer(text, "resolved", 0, 0))
    with pytest.raises(UserError, match="malformed package record"):
        make(mode="replay").layer(["alpha"])


class Memory(dict):
    """The smallest store of records."""

    mode = "record"

    def get(self, key):
        return super().get(json.dumps(key, sort_keys=True))

    def put(self, key, text):
        self[json.dumps(key, sort_keys=True)] = text

    def place(self, key):
        return "memory"


def test_resolutions_are_kept_in_any_store_of_records(make, index):
    wheel(index, "alpha")
    records = Memory()
    first = make(records=records).layer(["alpha"])
    assert len(records) == 1
    assert make(records=records).layer(["alpha"]) == first


def test_a_failure_stays_on_record_until_the_limits_change(make, index):
    for _ in range(2):
        with pytest.raises(InstallFailed) as failure:
            make().layer(["alpha"])
        assert str(failure.value) == (
            "Could not find a version that satisfies the requirement alpha (from versions: none)\n"
            "No matching distribution found for alpha\n"
            "Only wheels for Python {}.{} are installed.".format(*sys.version_info)
        )
        wheel(index, "alpha")
    with pytest.raises(InstallFailed, match="No matching"):
        make(mode="replay").layer(["alpha"])
    assert make(seconds=200).layer(["alpha"]).packages[0]["name"] == "alpha"


def test_of_two_that_resolve_at_once_the_first_is_on_record(make, index, tmp_path, monkeypatch):
    """Two checkouts that share a ledger, and no layers."""
    wheel(index, "alpha", "1.0")
    resolve = Pip.resolve

    def overtaken(self, requirements):
        found = resolve(self, requirements)
        monkeypatch.setattr(Pip, "resolve", resolve)
        wheel(index, "alpha", "2.0")
        make(store=tmp_path / "other").layer(["alpha"])
        return found

    monkeypatch.setattr(Pip, "resolve", overtaken)
    assert make().layer(["alpha"]).packages[0]["version"] == "2.0"
    assert make(mode="replay").layer(["alpha"]).packages[0]["version"] == "2.0"


def test_versions_that_exclude_each_other(make, index):
    wheel(index, "alpha", needs=["gamma<2"])
    wheel(index, "beta", needs=["gamma>=2"])
    wheel(index, "gamma", "1.0")
    wheel(index, "gamma", "2.0")
    with pytest.raises(InstallFailed) as failure:
        make().layer(["alpha", "beta"])
    assert str(failure.value).splitlines() == [
        "Cannot install alpha==1.0 and beta==1.0 because these package versions have "
        "conflicting dependencies.",
        "The conflict is caused by:",
        "    alpha 1.0 depends on gamma<2",
        "    beta 1.0 depends on gamma>=2",
    ]


def test_a_requirement_for_another_python_installs_nothing(make, index):
    layer = make().layer(["alpha; python_version < '3'"])
    assert layer.packages == [] and list(place_of(layer).iterdir()) == []


# What an index may try


def test_no_build_script_runs(make, index, tmp_path):
    mark = tmp_path / "mark"
    source_package(index, "alpha", mark)
    with pytest.raises(InstallFailed, match=r"from versions: none"):
        make().layer(["alpha"])
    # --only-binary does not hold for an address in a wheel's metadata.
    source = source_package(tmp_path / "elsewhere", "delta", mark)
    wheel(index, "beta", needs=[f"delta @ file://{source}"])
    with pytest.raises(InstallFailed) as failure:
        make().layer(["beta"])
    assert not mark.exists() and str(tmp_path) not in str(failure.value)


def test_a_repository_in_the_metadata_is_not_fetched(make, index, tmp_path):
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    wheel(index, "beta", needs=[f"delta @ git+file://{repository}"])
    with pytest.raises(InstallFailed) as failure:
        make().layer(["beta"])
    assert str(tmp_path) not in str(failure.value)


def test_a_wheel_from_an_address_is_refused(make, index, tmp_path):
    elsewhere = wheel(tmp_path / "elsewhere", "delta")
    wheel(index, "beta", needs=[f"delta @ file://{elsewhere}"])
    with pytest.raises(InstallFailed, match="delta does not come from the package index"):
        make().layer(["beta"])


def test_what_is_denied_is_not_brought_by_another_package(make, index, tmp_path):
    wheel(index, "alpha", needs=["evil-one"])
    wheel(index, "evil_one")
    with pytest.raises(InstallFailed, match="evil-one may not be installed here"):
        make(deny=["Evil.One"]).layer(["alpha"])
    assert layers_in(tmp_path / "store") == []


@pytest.mark.parametrize("content", [bytes(2 << 20), os.urandom(2 << 20)])
def test_what_is_too_large_packed_or_unpacked(make, index, content):
    wheel(index, "alpha", files={"data.bin": content})
    with pytest.raises(InstallFailed, match="1 MiB"):
        make(max_mib=1).layer(["alpha"])


@pytest.fixture
def silent_index(index, monkeypatch):
    """An index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        yield server


def test_an_installation_that_takes_too_long(make, silent_index):
    start = time.monotonic()
    with pytest.raises(InstallFailed, match="The installation took more than 1 seconds"):
        make(seconds=1).layer(["alpha"])
    assert time.monotonic() - start < 10


def test_an_index_that_is_down_stops_the_run(make, index, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    with pytest.raises(UserError, match="packages cannot be fetched"):
        make().layer(["alpha"])
    assert not (tmp_path / "ledger").exists() and layers_in(tmp_path / "store") == []


class Refusing(BaseHTTPRequestHandler):
    """An index that answers every question with one status."""

    status = 403

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing(index, monkeypatch):
    """Add an index that refuses to the one that is there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        yield
        server.shutdown()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_index_that_refuses_leaves_a_package_to_the_others(
    make, index, refusing, monkeypatch, status
):
    """Case 17."""
    monkeypatch.setattr(Refusing, "status", status)
    wheel(index, "alpha")
    assert [p["name"] for p in make().layer(["alpha"]).packages] == ["alpha"]


@pytest.mark.parametrize("status", [403, 410])
def test_what_no_index_has_is_a_failed_install_though_one_refuses(
    make, index, refusing, monkeypatch, status
):
    """Case 17."""
    monkeypatch.setattr(Refusing, "status", status)
    with pytest.raises(InstallFailed, match="No matching distribution"):
        make().layer(["alpha"])


@pytest.mark.parametrize("status", [407, 429, 500])
def test_an_index_that_cannot_answer_now_ends_the_run(make, index, refusing, monkeypatch, status):
    monkeypatch.setattr(Refusing, "status", status)
    with pytest.raises(UserError, match="packages cannot be fetched"):
        make().layer(["alpha"])


def test_pip_sees_its_settings_and_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PIP_INDEX_URL", "http://there")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    seen = environment()
    assert "secret" not in seen.values()
    assert {"PIP_INDEX_URL", "HTTPS_PROXY", "PATH"} <= set(seen)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", "pip failed without a reason."),
        ("noise\nERROR: no\nmore", "no"),
        ("ERROR: a (from versions: 1, 2, 3, 4)", "a (from versions: ..., 2, 3, 4)"),
        ("ERROR: a (from versions: 1, 2)", "a (from versions: 1, 2)"),
        ("ERROR: see https://user:key@host/simple/a now", "see <url> now"),
        ("ERROR: in '/home/me/x y' and 1/2", "in '<path> y' and 1/2"),
        ("ERROR: " + 5000 * "x", 1000 * "x"),
    ],
)
def test_a_reason_holds_nothing_of_this_machine(log, said):
    assert reason(log) == said


# What a wheel may hold


INFO = "alpha-1.0.dist-info"


@pytest.mark.parametrize(
    "files",
    [
        {"../evil.py": "x"},
        {"alpha/../../evil.py": "x"},
        {"/tmp/evil.py": "x"},
        {"..\\evil.py": "x"},
        {"alpha-1.0.data/data/../../../evil.py": "x"},
        {"alpha-1.0.data/other/evil.py": "x"},
        {f"{INFO}/entry_points.txt": "[console_scripts]\n../../evil = alpha:main\n"},
        {f"{INFO}/entry_points.txt": "[console_scripts]\n/tmp/evil = alpha:main\n"},
        {f"{INFO}/entry_points.txt": "[console_scripts]\nevil = alpha\n"},
        {f"{INFO}/entry_points.txt": "no section"},
        {"other-1.0.dist-info/METADATA": ""},
        {"a": "x", "a/b": "x"},
        {"a/b": "x", "a": "x"},
        {f"{300 * 'x'}.py": "x"},
        {"alpha.txt/": "", "alpha.txt": "x", "alpha.txt/x": "x"},
    ],
    ids=str,
)
def test_a_wheel_that_is_refused(tmp_path, files):
    evil = wheel(tmp_path / "in", "alpha", files=files)
    (tmp_path / "made").mkdir()
    with pytest.raises(InstallFailed) as failure:
        unpack([evil], tmp_path / "made" / "here", 10)
    assert str(tmp_path) not in str(failure.value)
    assert {p.name for p in tmp_path.iterdir()} == {"in", "made"}
    assert {p.name for p in (tmp_path / "made").iterdir()} <= {"here"}


@pytest.mark.parametrize("without", ["RECORD", "WHEEL"])
def test_a_wheel_without_its_papers(tmp_path, without):
    with pytest.raises(InstallFailed, match=r"alpha-1\.0-py3-none-any\.whl is not a valid wheel"):
        unpack([wheel(tmp_path, "alpha", without=[without])], tmp_path / "here", 10)


@pytest.mark.parametrize("cut", [0, 40, 200, -30])
def test_a_file_that_is_no_whole_archive(tmp_path, cut):
    path = wheel(tmp_path, "alpha", files={"alpha.txt": os.urandom(500)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InstallFailed, match="is not a valid wheel"):
        unpack([path], tmp_path / "here", 10)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 10_000), st.integers(0, 255), min_size=1, max_size=5))
def test_a_garbled_wheel_is_unpacked_or_refused(tmp_path, changes):
    path = wheel(tmp_path, "alpha", files={f"{INFO}/entry_points.txt": "[console_scripts]\n"})
    data = bytearray(path.read_bytes())
    for place, byte in changes.items():
        data[place % len(data)] = byte
    path.write_bytes(data)
    shutil.rmtree(tmp_path / "here", ignore_errors=True)
    with suppress(InstallFailed):
        unpack([path], tmp_path / "here", 10)
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, "here"}


@pytest.mark.parametrize(
    "name",
    [
        "evil.pth",
        "alpha-1.0.data/purelib/evil.pth",
        "alpha-1.0.data/data/evil.pth",
        "sitecustomize.py",
        "usercustomize/__init__.py",
        "alpha-1.0.data/platlib/sitecustomize.so",
        "alpha/__pycache__/x.cpython-311.pyc",
    ],
)
def test_what_would_run_by_itself_is_left_out(tmp_path, name):
    path = wheel(tmp_path, "alpha", files={name: "import os", "alpha/data.pth": "kept"})
    unpack([path], tmp_path / "here", 10)
    here = tmp_path / "here"
    found = {str(p.relative_to(here)) for p in here.rglob("*") if p.is_file()}
    info = {f"{INFO}/{file}" for file in ("METADATA", "WHEEL", "RECORD", "INSTALLER")}
    assert found == {"alpha.py", "alpha/data.pth", *info}
    assert "evil" not in (here / INFO / "RECORD").read_text()


def test_a_symbolic_link_is_unpacked_as_text(tmp_path):
    path = wheel(tmp_path, "alpha")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    unpack([path], tmp_path / "here", 10)
    unpacked = tmp_path / "here" / "passwd"
    assert not unpacked.is_symlink() and unpacked.read_text() == "/etc/passwd"


def test_papers_that_would_fill_the_memory_are_not_read(tmp_path):
    path = wheel(tmp_path, "alpha", files={f"{INFO}/entry_points.txt": bytes(17 << 20)})
    with pytest.raises(InstallFailed, match="is not a valid wheel"):
        unpack([path], tmp_path / "here", 100)


def test_bytecode_is_made_of_what_compiles(make, index):
    wheel(index, "alpha", files={"alpha/broken.py": "print 1", "alpha/nested.py": 10_000 * "("})
    place = place_of(make().layer(["alpha"]))
    assert [path.name for path in place.rglob("*.pyc")] == [
        f"alpha.{sys.implementation.cache_tag}.pyc"
    ]


def test_many_empty_files_are_too_large(tmp_path):
    path = wheel(tmp_path, "alpha", files={f"f{n}": "" for n in range(600)})
    with pytest.raises(InstallFailed, match="more than 2 MiB"):
        unpack([path], tmp_path / "here", 2)
    assert not (tmp_path / "here").exists()


def test_scripts_start_with_the_interpreter_of_the_box(tmp_path):
    files = {
        f"{INFO}/entry_points.txt": "[console_scripts]\ngreet = alpha:main\n",
        "alpha-1.0.data/scripts/tool": "#!python\nprint(1)\n",
    }
    unpack([wheel(tmp_path, "alpha", files=files)], tmp_path / "here", 10)
    for name in ("greet", "tool"):
        script = tmp_path / "here" / "bin" / name
        assert script.read_text().startswith("#!/opt/python/bin/python\n")
        assert script.stat().st_mode & 0o111 == 0o111


def test_of_two_packages_same_file_the_later_ones_counts(tmp_path):
    wheels = [wheel(tmp_path, name, files={"tests/same.py": name}) for name in ("alpha", "beta")]
    unpack(wheels, tmp_path / "here", 10)
    assert (tmp_path / "here" / "tests" / "same.py").read_text() == "beta"


# Many at once, and killed

MAKER = """
import sys
import threading
from pathlib import Path
from aiev.llm.ledger import Ledger
from aiev.sandbox.packages.service import Packages
root = Path(sys.argv[1])
packages = Packages(Ledger(root / "ledger"), root / "store", allow=["alpha", "beta"])
layer = packages.layer(sys.argv[2:])
print(layer.digest)
"""


def start(root: Path, *requirements: str) -> subprocess.Popen:
    command = [sys.executable, "-c", MAKER, str(root), *requirements]
    own = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True)


def test_processes_that_make_the_same_layer(index, tmp_path):
    wheel(index, "alpha")
    # The second asks in other words, so that both resolve, and meet at the layer only.
    makers = [start(tmp_path, "alpha"), start(tmp_path, "alpha>=1"), start(tmp_path, "alpha")]
    said = {maker.communicate(timeout=60)[0].strip() for maker in makers}
    assert all(maker.returncode == 0 for maker in makers)
    assert len(said) == 1 and layers_in(tmp_path / "store") == sorted(said)


def test_threads_that_want_the_same_layer_resolve_once(make, index, monkeypatch):
    wheel(index, "alpha")
    runs = []
    run = Pip.run
    monkeypatch.setattr(Pip, "run", lambda *given: runs.append(given[1]) or run(*given))
    packages = make()
    with ThreadPoolExecutor(4) as pool:
        layers = list(pool.map(packages.layer, [["alpha"]] * 4))
    assert len({layer.digest for layer in layers}) == 1 and runs == ["install", "download"]


def test_a_store_that_cannot_be_written_is_named(make, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(UserError, match="cannot keep packages"):
        make().layer(["alpha"])


def test_a_killed_maker_leaves_nothing_that_stays(silent_index, tmp_path):
    store = tmp_path / "store"
    maker = start(tmp_path, "alpha")
    silent_index.accept()
    children = Path(f"/proc/{maker.pid}/task/{maker.pid}/children").read_text().split()
    assert children
    with work_folder(store) as beside:
        assert len(layers_in(store)) == 2  # one that is at work is not swept
    assert not beside.exists()
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    wait_for(lambda: not any(is_alive(int(child)) for child in children))
    with work_folder(store) as own:
        assert layers_in(store) == [own.name]
    assert layers_in(store) == []


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# In the box

PROGRAM = """
import json, os, subprocess, sys
import alpha
print(alpha.VERSION, json.dumps([1]), os.environ.get("EVIL"))
print(subprocess.run([sys.executable, "-c", "import alpha; print(alpha.VERSION)"],
                     capture_output=True, text=True).stdout, end="")
try:
    open(alpha.__file__, "a")
except OSError as error:
    print(error.strerror)
print(subprocess.run([os.path.dirname(alpha.__file__) + "/bin/greet"],
                     capture_output=True, text=True).stdout, end="")
"""


def test_a_program_imports_from_a_layer_that_cannot_take_it_over(make, index):
    evil = "import os; os.environ['EVIL'] = 'yes'"
    files = {
        "alpha.py": "VERSION = '1.0'\ndef main(): print('hello')\n",
        "evil.pth": evil,
        "sitecustomize.py": evil,
        "json.py": evil,
        "os.py": evil,
        f"{INFO}/entry_points.txt": "[console_scripts]\ngreet = alpha:main\n",
    }
    wheel(index, "alpha", files=files)
    layer = make().layer(["alpha"])
    request = Request({"main.py": PROGRAM}, ("python", "main.py"), mounts=layer.mounts)
    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(request)
    assert result.outcome == "passed", result.stderr
    first, second, refusal, last = result.stdout.splitlines()
    assert (first, second, last) == ("1.0 [1] None", "1.0", "hello")
    assert refusal in ("Read-only file system", "Permission denied")


def test_a_refused_package_is_an_outcome(make, no_pip):
    script = Script("import nympy", requirements=("alpha", "nympy"))
    with open_sandbox("bubblewrap") as sandbox:
        result = Interpreter(sandbox, Limits(), make()).run(script)
    assert (result.outcome, result.exit_code, result.stdout) == ("install-failed", None, "")
    assert result.stderr == (
        "nympy is not on the list of packages that may be installed. Did you mean numpy?\n"
    )


def test_what_is_on_record_is_there_with_all_that_came_along(make, index):
    """As a duel runs a dialogue's tests: what came along may not be asked for by itself."""
    wheel(index, "alpha", needs=["delta"])
    wheel(index, "delta")
    packages = make().layer(["alpha"]).packages
    assert [p["name"] for p in packages] == ["alpha", "delta"] and "delta" not in NAMES
    script = Script("import alpha, delta", packages=tuple(packages))
    with open_sandbox("bubblewrap") as sandbox:
        assert Interpreter(sandbox, Limits(), make(mode="replay")).run(script).outcome == "passed"
        denied = Interpreter(sandbox, Limits(), make(deny=["delta"])).run(script)
    assert denied.outcome == "install-failed"


@pytest.mark.real
def test_a_package_of_the_real_index(make):
    try:
        layer = make(allow=["sortedcontainers"]).layer(["sortedcontainers==2.4.0"])
    except UserError as error:
        unavailable(f"package index: {error.message}")
    assert [(p["name"], p["version"]) for p in layer.packages] == [("sortedcontainers", "2.4.0")]
    code = "from sortedcontainers import SortedList; print(*SortedList([2, 1]))"
    with open_sandbox("bubblewrap") as sandbox:
        result = sandbox.run(Request({}, ("python", "-c", code), mounts=layer.mounts))
    assert (result.stdout, result.stderr) == ("1 2\n", "")
