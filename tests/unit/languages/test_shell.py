"""Shell commands before a program, in a real box: what they ask pip for, and what they leave."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiev.config.load import check_config
from aiev.core.errors import UserError
from aiev.core.files import SCRIPTS
from aiev.languages import LANGUAGES
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter, open_interpreter, script_of
from aiev.languages.shell import commands_of
from aiev.sandbox.api import SITE_PACKAGES, Limits, open_sandbox
from aiev.sandbox.packages.service import InstallFailed

PROGRAM = "import os, demo\nprint(demo.VERSION, sorted(os.listdir()))"


class Packages:
    """Installs a module `demo` of the version asked for, and refuses all other names."""

    def __init__(self, folder: Path):
        self.folder = folder

    def layer(self, requirements):
        version = "none"
        for text in requirements:
            name, _, pin = text.partition("==")
            if name != "demo":
                raise InstallFailed(f"{name} is not on the list.")
            version = pin or "9"
        layer = self.folder / version
        (layer / "bin").mkdir(parents=True, exist_ok=True)
        (layer / "demo.py").write_text(f"VERSION = {version!r}\n")
        tool = layer / "bin" / "demo-tool"
        tool.write_text("#!/bin/sh\necho tool >> tool.txt\n")
        tool.chmod(0o755)
        return SimpleNamespace(mounts={SITE_PACKAGES: layer}, packages=[])


class Counted:
    """A sandbox that counts its runs."""

    def __init__(self, sandbox):
        self.sandbox, self.runs = sandbox, 0

    def run(self, request):
        self.runs += 1
        return self.sandbox.run(request)


@pytest.fixture(scope="module")
def box():
    with open_sandbox("bubblewrap") as sandbox:
        yield sandbox


@pytest.fixture
def interpreter(box, tmp_path):
    return Interpreter(Counted(box), Limits(), Packages(tmp_path))


def answer(shell: str, program: str = PROGRAM, language: str = "bash") -> str:
    return f"So:\n\n```{language}\n{shell}\n```\n\n```python\n{program}\n```\n"


def play(interpreter, text: str, installed=()):
    script = interpreter.prepare(script_of(text, installed))
    return script.requirements, interpreter.run(script)


@pytest.mark.parametrize(
    "command",
    [
        "pip install demo",
        "pip3 install demo",
        "python -m pip install -q demo",
        "/usr/bin/env python3 -m pip install demo",
        "uv pip install demo",
        "!pip install demo",
        "%pip install demo",
        "! pip install demo",
        "$ pip install demo\nCollecting demo\nSuccessfully installed demo-9",
        "$ pip install \\\n>   demo\nCollecting demo",
        "(venv) $ pip install demo\nCollecting demo",
        "me@host:~/code$ pip install demo\nCollecting demo",
        "(base) me@host:~$ pip install demo",
        "sudo -H pip install demo",
        "sudo -u root PIP_NO_INPUT=1 pip install demo",
        "%%bash\npip install demo",
        "pip install demo &",
        "/usr/bin/env python3 -c \"from pip._internal import main; main(['install', 'demo'])\"",
        "python -m ensurepip --upgrade\npip install demo",
        "cd /tmp\npython -m venv e\n# On Windows\ne\\Scripts\\activate\n# Else\n. e/bin/activate\n"
        "pip install demo",
        "cd /tmp; python -m venv e; source e/Scripts/activate; pip install demo; uv run x.py || :",
        # What answers do first.
        "python -m pip install --upgrade pip\npip install demo",
        "pip install -U pip uv && pip install demo",
        "set -euo pipefail\npip install demo",
        "export PIP_ROOT_USER_ACTION=ignore; pip install 'demo'",
        "(cd /tmp && pip install demo)",
        "pushd /tmp > /dev/null\npip install demo\npopd > /dev/null",
        "pip install \\\n  demo",
        "pip install demo || pip3 install demo",
        "bash -c 'pip install demo'",
        "pip install -r /dev/stdin <<< demo",
        'PACKAGES=(demo)\npip install "${PACKAGES[@]}"',
        'install() { pip install "$1"; }\ninstall demo',
        "pip install demo & wait",
        "echo demo | xargs pip install",
        "PIP_NO_CACHE_DIR=1 pip install demo",
        "pip install demo > log.txt 2>&1 && rm log.txt",
        "pip install demo | tail -n 1",
        "pip install demo  # it's needed",
        "if true; then\n  pip install demo\nfi",
        "for name in demo; do pip install $name; done",
        "echo demo > r.txt\npip install -r r.txt\nrm r.txt",
        "python - <<'END'\nimport pip\npip.main(['install', 'demo'])\nEND",
        # Case 19: neither another directory nor an environment hides the program.
        "cd /tmp\nmkdir demo && cd demo\npip install demo",
        "cd /tmp\npython -m venv env\nsource env/bin/activate\npip install demo\nwhich pip",
        "python3 -m venv /tmp/env\n/tmp/env/bin/pip install demo",
        "cd /tmp; virtualenv env; env/bin/python -m pip install demo",
        "mkdir -p /tmp/a/b && cd $_ && python -m venv .venv && . .venv/bin/activate\n"
        "pip install demo\ndeactivate",
        "cd /tmp && uv venv && . .venv/bin/activate && uv pip install demo",
        "export HOME=/tmp; cd; python3 -m venv --system-site-packages e; e/bin/pip3 install demo",
        "cd /tmp; pip install --target lib demo",
    ],
)
def test_bash_reads_what_is_to_be_installed(command, interpreter):
    requirements, result = play(interpreter, answer(command))
    assert requirements == ("demo",)
    stdout = result.stdout.removeprefix("/tmp/env/bin/pip\n")
    assert (result.outcome, stdout) == ("passed", "9 ['interpreter.py', 'main.py']\n"), result
    assert interpreter.sandbox.runs == 2


@pytest.mark.parametrize(
    "command",
    [
        "echo 'pip install demo'",
        "cat > f <<'END'\npip install demo\nEND",
        "# pip install",
        "false && pip install demo || true",
        "if false; then pip install demo; fi",
        "pip --version; pip list; pip check; pip cache purge",
        "pip install --upgrade pip",
        "pip install demo && pip uninstall -y demo",
        "alias p='pip install demo'",
    ],
)
def test_text_about_pip_installs_nothing(command, interpreter):
    requirements, result = play(interpreter, answer(command, "print(1)"))
    assert requirements == () and result.outcome == "passed"


def test_without_a_shell_block_the_box_starts_once(interpreter):
    requirements, result = play(interpreter, "```python\nprint(1)\n```")
    assert (requirements, result.stdout, interpreter.sandbox.runs) == ((), "1\n", 1)


def test_a_program_that_the_commands_write_does_not_take_the_program_s_place(interpreter):
    """Case 19."""
    command = "pip install demo\ncat > main.py <<'END'\nprint('mine')\nEND"
    assert play(interpreter, answer(command))[1].stdout == "9 ['interpreter.py', 'main.py']\n"


def test_a_command_that_runs_the_program_does_not_run_it_twice(interpreter):
    result = play(interpreter, answer("pip install demo && python main.py", "print('once')"))[1]
    assert (result.outcome, result.stdout) == ("passed", "once\n")


def test_a_command_of_a_package_is_there_once_it_is_installed(interpreter):
    command = "pip install demo\ndemo-tool\npip install demo==3\npip show demo || true"
    requirements, result = play(interpreter, answer(command))
    assert requirements == ("demo==3",) and result.outcome == "passed"
    assert result.stdout == "3 ['interpreter.py', 'main.py', 'tool.txt']\n"


def test_a_later_pin_replaces_an_earlier_one_and_uninstall_removes_it(interpreter):
    """Case 18."""
    first, _ = play(interpreter, answer("pip install demo==1"))
    second, result = play(interpreter, answer("pip install demo==2"), first)
    assert second == ("demo==2",) and result.stdout.startswith("2 ")
    third, result = play(interpreter, answer("pip uninstall -y demo"), second)
    assert third == () and "No module named 'demo'" in result.stderr


def test_a_failing_command_is_the_result(interpreter):
    _, result = play(interpreter, answer("echo hi\nls nowhere\necho not reached", "print(1)"))
    assert (result.outcome, result.exit_code, result.stdout) == ("failed", 2, "hi\n")
    assert "nowhere" in result.stderr and ".shell" not in result.stderr
    _, result = play(interpreter, answer("conda install x", "print(1)"))
    assert (result.exit_code, result.stderr) == (127, "bash: conda: command not found\n")


def test_what_may_not_be_installed_is_install_failed(interpreter):
    _, result = play(interpreter, answer("pip install demo other"))
    assert (result.outcome, result.stderr) == ("install-failed", "other is not on the list.\n")


def test_a_prepared_script_needs_one_run_more_and_no_other(interpreter):
    script = interpreter.prepare(script_of(answer("pip install demo")))
    runs = interpreter.sandbox.runs
    interpreter.run(Script("print(1)", script.shell, script.requirements))
    assert (runs, interpreter.sandbox.runs) == (1, 2)


def test_a_transcript_holds_commands_and_what_they_printed():
    assert commands_of("$ echo hi\nhi\n$ ls \\\n> -l\ntotal 0") == "echo hi\nls \\\n-l"
    assert commands_of("echo hi\n# $ no\n") == "echo hi\n# $ no"
    assert commands_of("(a) me@b:~$ ls\nx\n(a) $ pwd") == "ls\npwd"
    prompts = ("root@a:/# ", "[me@b ~]$ ", "me@mac ~ % ", "me@pc MINGW64 ~ $ ", "\u276f ")
    for prompt in (*prompts, "C:\\> ", "PS C:\\Users\\me> ", "(venv) PS C:\\code> "):
        assert commands_of(f"{prompt}ls -l\ntotal 0") == "ls -l"
    for text in ("# me@b.c # x", "git clone me@b:c # d", "%pip install a", "a > b", "C:\\a"):
        assert commands_of(text) == text.removeprefix("%")
    for text in ("echo $ x", "test a = $ ", "grep 'a$ ' f", "cost=5$ ", "(cd x; echo $ y)"):
        assert commands_of(text) == text


TOY = '''
"""A language in a file of its own: the shell."""
from aiev.languages.base import Code
from aiev.languages.markdown import fenced
from aiev.sandbox.api import Request


class Language:
    def program(self, answer):
        found = [block for block in fenced(answer) if block.language == "dash"]
        return Code(found[0].text, (found[0],)) if found else None

    def request(self, script, limits, mounts, hash_seed):
        return Request({"main.sh": script.code}, ("sh", "-e", "main.sh"), limits, mounts=mounts)
'''
RECIPE = "class Recipe:\n    class Config(Section):\n        pass\n"
DASH = "```dash\nadd() { echo $(($1 + $2)); }\ntest $(add 1 2) = 3\necho ok\n```"


def test_a_language_of_one_file_is_chosen_by_the_config_and_its_program_runs(tmp_path):
    (tmp_path / "dash.py").write_text(TOY)
    (tmp_path / "own.py").write_text("from aiev.core.settings import Section\n" + RECIPE)
    chosen = {"recipe": str(tmp_path / "own.py"), "language": str(tmp_path / "dash.py")}
    config = {"dialogues": dict(chosen)}
    check_config(config, SCRIPTS.parent / "config")
    assert config["dialogues"] == chosen
    ledger, layers = {"path": str(tmp_path / "ledger"), "mode": "record"}, tmp_path / "layers"
    language = config["dialogues"]["language"]
    with open_interpreter(config["sandbox"], ledger, layers, language) as interpreter:
        script = script_of(DASH, language=interpreter.language)
        assert interpreter.run(script).stdout == "ok\n"
        wrong = replace(script, code=script.code.replace("+", "-"))
        assert interpreter.run(wrong).outcome == "failed"


@pytest.mark.parametrize(
    ("language", "words"), [("cobol", "'cobol' should be 'python'"), (7, "7 should be 'python'")]
)
def test_a_language_that_the_recipe_does_not_write_is_a_mistake(language, words):
    with pytest.raises(UserError) as raised:
        check_config({"dialogues": {"language": language}}, SCRIPTS.parent / "config")
    assert raised.value.where == "config: dialogues.language" and words in raised.value.message


def test_the_languages_that_come_with_it():
    assert "python" in LANGUAGES.names()
    assert LANGUAGES.source("python") == "aiev.languages.python.language"
    assert LANGUAGES.get("python")().program("```python\nx = 1\n```").text == "x = 1"
