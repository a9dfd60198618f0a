"""The first code in the box: puts the files there, sets the limits, starts the program, reports.

It is mounted in the box as `sitecustomize`: Python runs it while it starts, and then runs the
program in the same interpreter, as a second start would cost 10 ms. Another command is started by
running this file as a script. Nothing untrusted has run before this point; the request's own
PYTHONPATH is added here. Imports nothing of the project.

Every interpreter in the box runs it, on either backend, and becomes more repeatable: directory
listings are sorted, and names of temporary files are counted instead of random.
"""

import marshal
import os
import sys

BOX = "/box"
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # on every architecture


def enter() -> None:
    """Prepare this process to become the program, or fork one whose end the parent reports.

    Writes `ready` to the status pipe, and then the parent `exit N CPU` or `signal N CPU` with the
    CPU seconds.
    """
    request_fd, status_fd = (int(fd) for fd in os.environ.pop("AIEV_BOX").split(","))
    with open(request_fd, "rb") as stream:
        request = marshal.load(stream)
    if request["from_root"]:
        _leave_root(request["user"])
    _write_files(request["files"])
    _set_limits(request["limits"])
    os.write(status_fd, b"ready\n")
    # PR_SET_DUMPABLE: the program may not look into its parent, and from its first moment on.
    _call("prctl", 4, 0, 0, 0, 0)
    if request["parent"] and (child := os.fork()):
        _, status, usage = os.wait4(child, 0)
        word = "signal" if os.WIFSIGNALED(status) else "exit"
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        os.write(status_fd, f"{word} {number} {usage.ru_utime + usage.ru_stime}\n".encode())
        while True:  # the box stays until the host has looked at the files, and then is killed
            os.read(os.pipe()[0], 1)
    _call("prctl", 4, 1, 0, 0, 0)  # now /proc/self is the program's
    _enter_domain()
    for fd in map(int, os.listdir("/proc/self/fd")):  # the reports, and what bwrap left open
        os.closerange(max(fd, 3), fd + 1)
    os.setsid()  # a group of its own, whose leader it is, as anywhere
    _set_python_path(request["python_path"])


def _leave_root(user: int) -> None:
    """From the box's root, which is the host's, to an ordinary user for ever.

    Takes the last capabilities with it. No namespace can be made from here on.
    """
    with open("/proc/sys/user/max_user_namespaces", "w") as stream:
        stream.write("0")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _call(name: str, *arguments: int | bytes) -> int:
    """Call a function of the C library, through the core of ctypes: all of it takes 3 ms."""
    import _ctypes

    return _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 0), name), arguments)


def _enter_domain() -> None:
    """Keep the program from signalling and tracing processes that are not its own, by a Landlock
    domain with scopes (Linux 6.12). Where there is none, that of its user's processes which it
    must not reach are closed in other ways; see docs/sandbox.md.
    """
    handled = (0).to_bytes(16, sys.byteorder)  # neither files nor ports
    scopes = (3).to_bytes(8, sys.byteorder)  # abstract sockets, signals
    domain = _call("syscall", LANDLOCK_CREATE_RULESET, handled + scopes, 24, 0)
    if domain >= 0:
        _call("syscall", LANDLOCK_RESTRICT_SELF, domain, 0)
        os.close(domain)


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
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def _set_python_path(python_path: str) -> None:
    """Put the request's own PYTHONPATH first. This file's folder stays in the environment, for the
    interpreters that the program may start."""
    own = [path for path in python_path.split(":") if path]
    sys.path[:] = own + sys.path
    os.environ["PYTHONPATH"] = ":".join([os.path.dirname(__file__), *own])


class _Listing:
    """What os.scandir gives, sorted by name."""

    def __init__(self, entries):
        with entries:
            self._rest = iter(sorted(entries, key=lambda entry: entry.name))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._rest)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._rest = iter(())


def _sort_listings() -> None:
    listdir, scandir = os.listdir, os.scandir

    def sorted_listdir(path=None):
        return sorted(listdir(path))

    def sorted_scandir(path=None):
        return _Listing(scandir(path))

    for name, function in (("listdir", sorted_listdir), ("scandir", sorted_scandir)):
        function.__name__ = function.__qualname__ = name
        function.__module__ = "os"  # so that it can be pickled, for a pool of processes
        os.supports_fd.add(function)  # shutil looks there
        setattr(os, name, function)


class _CountedNames:
    """Replaces tempfile's random names; tempfile itself skips a name that is taken."""

    def __init__(self):
        self._count = 0

    def __iter__(self):
        return self

    def __next__(self):
        self._count += 1
        return f"{self._count:08d}"


def _count_names(tempfile) -> None:
    tempfile._RandomNameSequence = _CountedNames


def _share_by_files(module) -> None:
    """Let `mmap.mmap(-1, ...)` take its shared memory from /tmp, whose size is limited: the kernel
    would count pages without a file for nobody, and the filter refuses them."""

    class mmap(module.mmap):
        __module__, __qualname__ = "mmap", "mmap"

        def __new__(cls, fileno, length, *args, **named):
            given = dict(zip(("flags", "prot", "access", "offset"), args, strict=False)) | named
            flags, access = given.get("flags", module.MAP_SHARED), given.get("access", 0)
            shared = flags & module.MAP_SHARED and access != module.ACCESS_COPY
            if fileno != -1 or not shared or length <= 0:
                return super().__new__(cls, fileno, length, *args, **named)
            file = _memory_in_tmp(length)
            if "flags" in given:
                given["flags"] &= ~module.MAP_ANONYMOUS
            try:
                return super().__new__(cls, file, length, **given)
            finally:
                os.close(file)

    module.mmap = mmap


def _memory_in_tmp(size: int) -> int:
    """A file without a name that has room for so many bytes."""
    file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
    except OSError:
        os.close(file)
        raise OSError(12, "Cannot allocate memory") from None
    return file


def _when_imported(changes) -> None:
    """Change modules once they are imported: importing them here would cost every start 5 ms.

    Through the path finder itself, so that the program sees no finder of ours in sys.meta_path.
    """
    finder = sys.modules["_frozen_importlib_external"].PathFinder
    find = finder.__dict__["find_spec"]

    def find_spec(name, path=None, target=None):
        spec = find.__get__(None, finder)(name, path, target)
        change = changes.pop(name, None) if spec and spec.loader else None
        if not changes:
            finder.find_spec = find
        if change is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec

    finder.find_spec = staticmethod(find_spec)


if "AIEV_BOX" in os.environ:
    try:
        enter()
        if __name__ == "__main__":
            import _signal

            for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # which Python ignores
                _signal.signal(number, _signal.SIG_DFL)
            os.execvp(sys.argv[1], sys.argv[1:])
    except BaseException as error:  # Python would go on, and run the program without limits
        reason = getattr(error, "strerror", None) or error
        os.write(2, f"{sys.argv[1:2]}: {reason}\n".encode("utf-8", "replace"))
        os._exit(127)
    for name in ("resource", "_ctypes"):
        sys.modules.pop(name, None)
sys.path[:] = [path for path in sys.path if path != os.path.dirname(__file__)]
_sort_listings()
_when_imported({"tempfile": _count_names, "mmap": _share_by_files})
