"""Runs a program in the box, then packs the files that it leaves behind.

This file is copied into the box; it stands alone. `python .keep/keep.py COMMAND...` runs the
command and ends as it ended. What is packed: a line of JSON with [[name, size], ...], then the
contents.
"""

import contextlib
import json
import os
import signal
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = ("__pycache__", ".keep", ".shell", ".cache", ".config")


def kept(own, max_bytes, max_files):
    """Names and sizes of regular files below the working directory, in order, without `own`; no
    more than `max_files`, and what fits into `max_bytes` together. Symbolic links are left out, and
    names that cannot be printed."""
    found, room = [], max_bytes
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name))
            about = os.lstat(path)
            fits = about.st_size <= room and len(found) < max_files
            if fits and stat.S_ISREG(about.st_mode) and path.isprintable() and path not in own:
                found.append([path, about.st_size])
                room -= about.st_size
    return found


def pack(files, target):
    with open(target, "wb") as stream:
        stream.write(json.dumps(files).encode() + b"\n")
        for path, size in files:
            with open(path, "rb") as file:
                stream.write(file.read(size).ljust(size, b"\0"))


def run(command):
    """The wait status of the command."""
    child = os.fork()
    if not child:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    return os.waitpid(child, 0)[1]


def main(command):
    with open(os.path.join(HERE, "settings"), encoding="utf-8") as file:
        settings = json.load(file)
    code = os.waitstatus_to_exitcode(run(command))
    target = os.path.join(HERE, "files")
    try:
        os.chdir(os.path.dirname(HERE))
        pack(kept(**settings), target)
    except OSError:  # a full disk: the files are lost, and how the program ended is not
        with contextlib.suppress(OSError):
            os.unlink(target)
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other way
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
