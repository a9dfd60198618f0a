"""Shell commands that run in the box before a program, with stand-ins for pip and venv.

bash reads the commands, nothing here does. They run in a process of their own, so that neither a
`cd` nor a virtual environment that they make hides the program, which is put into /box after them.
"""

import re
import sys
from dataclasses import replace

from aiev.core.files import module_path
from aiev.languages.markdown import SHELL_CELLS
from aiev.sandbox.request import Request

FOLDER = ".shell"
ASKED = f"{FOLDER}/asked"
"""Where the calls of pip are written down, for `Request.collect`."""

_PIP = f'#!/bin/sh\nexec /opt/python/bin/python -S /box/{FOLDER}/lib/pip.py "$@"\n'
_PYTHON = '#!/bin/sh\nexec /opt/python/bin/python "$@"\n'
_VENV = '#!/bin/sh\nexec /opt/python/bin/python -m venv "$@"\n'
_SUDO = """\
#!/bin/sh
while :; do
  case $1 in
    -[ugpCDRTrt]) shift 2 ;;
    -*) shift ;;
    *) break ;;
  esac
done
[ $# = 0 ] || exec env "$@"
"""
_UV = """\
#!/bin/sh
command=$1
shift
case $command in
  pip) exec pip "$@" ;;
  add) exec pip install "$@" ;;
  run) case $1 in *.py) set -- python "$@" ;; esac; exec "$@" ;;
  venv) exec python -m venv "$@" ;;
esac
"""
# Answers give the way to activate an environment on Windows too.
_ENV = """\
command_not_found_handle () {
  case $1 in *Scripts[Aa]ctivate*) return 0 ;; esac
  echo "bash: $1: command not found" >&2
  return 127
}
"""
_WAIT = "while jobs -r | grep -q '\\bpip[0-9.]* '; do sleep 0.1; done"
"""Until no pip in the background is left to write down its call."""
_OWN_PIP = f"pip3.{sys.version_info.minor}"  # the box has this process's Python
# As a notebook spells them too; a `%` at a command's start is bash's own word for a job.
_TOOLS = {
    **dict.fromkeys(("pip", "pip3", _OWN_PIP, "!pip", "!pip3"), _PIP),
    **dict.fromkeys(("!python", "!python3", "py"), _PYTHON),
    **dict.fromkeys(("uv", "!uv"), _UV),
    **{"virtualenv": _VENV, "sudo": _SUDO},
}
_PROMPT = re.compile(
    r"(?:\(\S+\) *)?"  # an environment
    r"(?:\[?[\w.-]+@[\w.-]+[^$#%]*[$#%]"  # a user and a host
    r"|(?:PS )?[A-Za-z]:\\[^<>|]*>"  # a folder of Windows
    r"|[$%\u276f]) (.*)"
)
_RUN = f"""\
here=/box/{FOLDER}
chmod +x $here/bin/*
: > $here/asked
export BASH_ENV=$here/env.sh
PATH=$here/bin:$PATH PYTHONPATH=$here/lib:$PYTHONPATH bash -e $here/block.sh || exit
unset BASH_ENV
"""
_PROGRAM = """\
cp -r --remove-destination $here/files/. /box || exit
rm -rf $here main.sh
exec "$@"
"""


def commands_of(block: str) -> str:
    """The commands of a shell block. In a transcript, where commands stand behind a prompt, the
    other lines are what they printed; the magic of a notebook loses its `%`."""
    lines = block.split("\n")
    if any(_behind_prompt(line) is not None for line in lines):
        commands, goes_on = [], False
        for line in lines:
            command = _behind_prompt(line)
            if command is None and goes_on:
                command = line.removeprefix("> ")
            if command is not None:
                commands.append(command)
                goes_on = command.endswith("\\")
        lines = commands
    return "\n".join(map(_without_magic, lines)).strip("\n")


def _behind_prompt(line: str) -> str | None:
    """The command behind a prompt such as `$` or `me@host:~/code$`; None without one."""
    found = _PROMPT.match(line.lstrip())
    return found and found[1]


def _without_magic(line: str) -> str:
    command = line.lstrip()
    if command.startswith(SHELL_CELLS):
        return ""
    return command[1:] if command.startswith(("%pip", "%uv")) else line


def with_shell(request: Request, commands: str) -> Request:
    """The request with the commands before it. Its files are empty while they run, so that a
    command that runs the program too does it only once."""
    files = dict.fromkeys(request.files, "")
    files |= {f"{FOLDER}/files/{name}": content for name, content in request.files.items()}
    files |= _files(commands) | {"main.sh": _RUN + _PROGRAM}
    return replace(request, files=files, command=("bash", "main.sh", *request.command))


def shell_only(request: Request, commands: str) -> Request:
    """A request that runs the commands before `request`, and hands back their calls of pip."""
    files = {**dict.fromkeys(request.files, ""), **_files(commands), "main.sh": _RUN}
    return replace(request, files=files, command=("bash", "main.sh"), collect=(ASKED,))


def _files(commands: str) -> dict[str, str]:
    tools = {f"{FOLDER}/bin/{name}": text for name, text in _TOOLS.items()}
    modules = {"pip": "aiev.languages.python.pip_shim", "venv": "aiev.languages.python.venv_shim"}
    lib = {
        f"{FOLDER}/lib/{name}.py": module_path(module).read_text("utf-8")
        for name, module in modules.items()
    }
    lib[f"{FOLDER}/lib/ensurepip.py"] = ""
    block = f"{commands}\n{_WAIT}\n:\n"
    return {**tools, **lib, f"{FOLDER}/env.sh": _ENV, f"{FOLDER}/block.sh": block}
