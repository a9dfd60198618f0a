"""What does not vary from run to run in the box: listings, temporary names, zone, hashes."""

import pytest

from aiev.sandbox.api import Request, open_sandbox

NAMES = ["zebra", "a", "m", "Z", "10", "9", "\u00e4"]
MAKE = f"import os\nfor name in {NAMES!r}: os.mkdir(name)\n"


@pytest.fixture(scope="module")
def play():
    with open_sandbox("bubblewrap") as sandbox:

        def run(code, **extra):
            result = sandbox.run(Request({"main.py": code}, ("python", "main.py"), **extra))
            assert result.outcome == "passed", result.stderr
            return result.stdout

        yield run


@pytest.mark.parametrize(
    "listing",
    [
        "os.listdir()",
        "os.listdir('/box')",
        "[entry.name for entry in os.scandir()]",
        "next(os.walk('.'))[1]",
        "[path.name for path in pathlib.Path('.').iterdir()]",
        "glob.glob('*')",
        "os.listdir(os.open('.', os.O_RDONLY))",
        "[name.decode() for name in os.listdir(b'.')]",
        "eval(subprocess.check_output([sys.executable, '-c', 'import os; print(os.listdir())']))",
    ],
)
def test_listings_are_sorted(listing, play):
    code = (
        f"{MAKE}import glob, pathlib, subprocess, sys\nprint(ascii(sorted({listing}) == {listing}))"
    )
    assert play(code) == "True\n"


def test_a_listing_behaves_as_the_systems_own(play):
    assert (
        play(
            "import os, shutil\n"
            "os.makedirs('a/b/c')\n"
            "with os.scandir('a') as entries:\n"
            "    entry = next(entries)\n"
            "print(entry.name, entry.is_dir(), entry.path, list(entries))\n"
            "entries = os.scandir()\n"
            "entries.close()\n"
            "print(list(entries))\n"
            "for wrong in ('none', 'main.py'):\n"
            "    try:\n        os.listdir(wrong)\n"
            "    except OSError as error:\n        print(type(error).__name__)\n"
            "shutil.rmtree('a')\n"
            "print(os.path.exists('a'), os.listdir.__name__)\n"
        )
        == "b True a/b []\n[]\nFileNotFoundError\nNotADirectoryError\nFalse listdir\n"
    )


def test_a_listing_can_be_given_to_a_pool_and_to_shutil(play):
    code = (
        "import os, multiprocessing, shutil\n"
        "os.makedirs('a/b')\n"
        "with multiprocessing.Pool(1) as pool: print(pool.map(os.listdir, ['a']))\n"
        "print(shutil.rmtree.avoids_symlink_attacks, os.listdir)\n"
    )
    assert play(code).startswith("[['b']]\nTrue <function listdir at ")


def test_names_of_temporary_files_do_not_vary(play):
    code = (
        "import subprocess, sys, tempfile\n"
        "print(tempfile.mkdtemp(), tempfile.mkstemp()[1], tempfile.gettempdir())\n"
        "print(tempfile.NamedTemporaryFile(prefix='a', suffix='.b').name, flush=True)\n"
        "child = 'import tempfile; print(tempfile.mkdtemp())'\n"
        "subprocess.run([sys.executable, '-c', child])\n"
    )
    first = play(code)
    assert first == play(code) and first.startswith("/tmp/tmp00000001 /tmp/tmp00000002 ")
    assert len(set(first.split())) == 5, "no two of them are the same"


def test_the_hook_shows_nowhere(play):
    code = "import sys, tempfile\nprint('/opt/box' in sys.path, list(map(str, sys.meta_path)))"
    said = play(code)
    assert said.startswith("False [") and "sitecustomize" not in said and "inside" not in said


def test_no_start_compiles_the_hook(play):
    code = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-v', '-c', '']\n"
        "print(subprocess.run(command, capture_output=True, text=True).stderr)"
    )
    assert "code object from '/opt/box/sitecustomize.pyc'" in play(code)


def test_the_world_is_the_same_everywhere(play):
    code = (
        "import locale, os, sys, time\n"
        "print(hash('a'), time.tzname, locale.getpreferredencoding(), sys.stdout.encoding)\n"
        "print(os.getcwd(), os.environ['HOME'], os.getuid(), os.uname().nodename, id(object()))\n"
        "print(open('/proc/self/maps').readline().split()[0])\n"
    )
    assert play(code) == play(code)
    other = play(code, hash_seed=1)
    assert other.split()[0] != play(code).split()[0]
    assert other.split("(", 1)[1].startswith("'UTC'")
