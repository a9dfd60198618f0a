"""Stands in for venv in the sandbox: makes a folder that looks like a virtual environment.

This file is copied into the box as the module `venv`; it stands alone. The environment's Python is
the sandbox's, so that what is installed in it is there for the program, whichever Python runs it.
"""

import os
import sys

ACTIVATE = """\
VIRTUAL_ENV={folder}
PATH={folder}/bin:$PATH
export VIRTUAL_ENV PATH
deactivate () {{ PATH=${{PATH#"$VIRTUAL_ENV/bin:"}}; unset VIRTUAL_ENV; }}
"""


def make(folder, tools):
    """tools: the folder with the sandbox's stand-ins for pip."""
    folder = os.path.abspath(folder)
    os.makedirs(f"{folder}/bin", exist_ok=True)
    for name in ("python", "python3"):
        link(sys.executable, f"{folder}/bin/{name}")
    for name in ("pip", "pip3"):
        link(f"{tools}/{name}", f"{folder}/bin/{name}")
    with open(f"{folder}/bin/activate", "w", encoding="utf-8") as file:
        file.write(ACTIVATE.format(folder=folder))
    os.makedirs(f"{folder}/Scripts", exist_ok=True)  # as Git's bash on Windows names it
    link(f"{folder}/bin/activate", f"{folder}/Scripts/activate")


def link(target, path):
    if not os.path.lexists(path):
        os.symlink(target, path)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    for name in names or [".venv"]:
        make(name, os.path.join(os.path.dirname(here), "bin"))
