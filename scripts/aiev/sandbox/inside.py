"""The first code in the box: puts the files there, sets the limits, starts the program, reports.

It is mounted in the box as `sitecustomize`, so that Python runs it on its way up and the program
then goes on in the same interpreter, in a forked child: a second start would cost 10 ms. Another
command is started by running this file as a script. Nothing untrusted has run before this point:
the request's own PYTHONPATH counts from the fork on. Knows nothing of the project.
"""

import marshal
import os
import sys

BOX = "/box"


def enter() -> None:
    """Return in the child, where the program goes on; the parent waits for it and reports.

    Writes to the status pipe: `ready`, then `exit N CPU` or `signal N CPU` with the CPU seconds.
    """
    request_fd, status_fd = (int(fd) for fd in os.environ.pop("AIEV_BOX").split(","))
    with open(request_fd, "rb") as stream:
        request = marshal.load(stream)
    if request["from_root"]:
        _leave_root(request["user"])
    _write_files(request["files"])
    _set_limits(request["limits"])
    os.write(status_fd, b"ready\n")
    child = os.fork()
    if not child:
        os.close(status_fd)
        if request["from_root"]:
            _own_process()
        os.setsid()  # so that a signal to the program's own group does not reach the parent
        _set_python_path(request["python_path"])
        return
    _, status, usage = os.wait4(child, 0)
    word = "signal" if os.WIFSIGNALED(status) else "exit"
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    os.write(status_fd, f"{word} {number} {usage.ru_utime + usage.ru_stime}\n".encode())
    while True:  # the box stays until the host has looked at the files, and then is killed
        os.read(os.pipe()[0], 1)


def _leave_root(user: int) -> None:
    """From the box's root, which is the host's, to an ordinary user for ever.

    Takes the last capabilities with it. No namespace can be made from here on.
    """
    with open("/proc/sys/user/max_user_namespaces", "w") as stream:
        stream.write("0")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _own_process() -> None:
    """After a change of user /proc/self belongs to root until it is said that it need not.

    Said for the program only (PR_SET_DUMPABLE), by the core of ctypes: all of it takes 3 ms.
    """
    import _ctypes

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")
    _ctypes.call_function(prctl, (4, 1, 0, 0, 0))
    del sys.modules["_ctypes"]


def _write_files(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = f"{BOX}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)


def _set_limits(limits: dict[str, tuple[int, int]]) -> None:
    import resource

    for name, (soft, hard) in limits.items():
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))


def _set_python_path(python_path: str) -> None:
    """Make all look as if Python had been started with the request's own PYTHONPATH."""
    here = os.path.dirname(__file__)
    sys.path[:] = [p for p in python_path.split(":") if p] + [p for p in sys.path if p != here]
    os.environ.pop("PYTHONPATH", None)
    if python_path:
        os.environ["PYTHONPATH"] = python_path


if "AIEV_BOX" in os.environ:
    try:
        enter()
        if __name__ == "__main__":
            os.execvp(sys.argv[1], sys.argv[1:])
    except BaseException as error:  # Python would go on, and run the program without limits
        os.write(2, f"{sys.argv[1:2]}: {error}\n".encode("utf-8", "replace"))
        os._exit(127)
    sys.modules.pop("resource", None)
