"""Shell commands that run in the box before a program, with stand-ins for pip and venv.

bash reads the commands, nothing here does. They run in a process of their own, so that neither a
`cd` nor a virtual environment that they make hides the program, which is put into /box after them.
"""

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
_SUDO = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
_UV = """\
#!/bin/sh
command=$1
shift
case $command in
  pip) exec pip "$@" ;;
  add) exec pip install "$@" ;;
  run) exec "$@" ;;
  venv) exec python -m venv "$@" ;;
esac
"""
_OWN_PIP = f"pip3.{sys.version_info.minor}"  # the box has this process's Python
# As a notebook spells them too; a `%` at a command's start is bash's own word for a job.
_TOOLS = {
    **dict.fromkeys(("pip", "pip3", _OWN_PIP, "!pip", "!pip3"), _PIP),
    **dict.fromkeys(("!python", "!python3", "py"), _PYTHON),
    **dict.fromkeys(("uv", "!uv"), _UV),
    **{"virtualenv": _VENV, "sudo": _SUDO},
}
_RUN = f"""\
here=/box/{FOLDER}
chmod +x $here/bin/*
: > $here/asked
PATH=$here/bin:$PATH PYTHONPATH=$here/lib:$PYTHONPATH bash -e $here/block.sh || exit
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
    """The command behind a prompt such as `$`, `(venv) $` or `me@host:~/code$`; None without one.

    A prompt with words before its sign names an environment, or a user and a host.
    """
    before, sign, command = line.lstrip().partition("$ ")
    words = before.split()
    environment = words[:1] and words[0][0] == "(" and words[0][-1] == ")"
    rest = words[1:] if environment else words
    if sign and (not rest or (len(rest) == 1 and "@" in rest[0])):
        return command
    return line.lstrip()[2:] if line.lstrip().startswith("% ") else None


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
    return {**tools, **lib, f"{FOLDER}/block.sh": f"{commands}\n:\n"}
