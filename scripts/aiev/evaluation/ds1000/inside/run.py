"""Judges one solution by a problem's own tests, with the comparison out of the solution's reach.

DS-1000's tests run the solution by `exec` in the process that knows the expected results, so that a
solution could patch the comparison. Here two processes take part:
  checker   runs the tests. Its `exec` sends the code and the test's input to the other process, and
            takes home what the code left in `result`, its current figure and its files
  solution  a fork from before the problem was read; runs the code, and has nothing else

What the solution hands over is read by an unpickler that makes arrays, tables, estimators, figures
and plain values, and calls nothing else.

In the working directory lies problem.json: {code_context, solution, modules}. It is removed before
any of the solution's code runs. The last line on stdout is JSON: {"outcome", "said"}.
"""

import contextlib
import copy
import importlib
import io
import json
import os
import pickle
import random
import signal
import socket
import struct
import sys

MAX_MESSAGE = 256 << 20
"""Bytes of one message; a larger one ends the run."""
MAX_FILES = 64 << 20
"""Bytes of all files that a solution hands over."""

LIBRARIES = (
    *("numpy", "pandas", "scipy", "sklearn", "matplotlib", "seaborn", "statsmodels", "xgboost"),
    *("torch", "tensorflow", "keras", "mpl_toolkits", "PIL", "dateutil", "pytz"),
)
"""Packages whose classes may be made from what a solution hands over."""
PLAIN = {
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple", "type", "Ellipsis", "NotImplemented"),
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor", "__newobj__"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "functools": {"partial"},
    "itertools": {"count", "cycle"},
    "operator": {"itemgetter"},
}
FUNCTIONS = {
    ("pandas.plotting._matplotlib.converter", "_daily_finder"),
    ("pandas.plotting._matplotlib.timeseries", "_format_coord"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy.ma.core", "_mareconstruct"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.tslibs.offsets", "_make_offset"),
    ("pandas._libs.tslibs.period", "_unpickle_period"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.missing", "NA"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.interval", "_new_IntervalIndex"),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    ("pandas.core.arrays.arrow._arrow_utils", "pyarrow_array_to_numpy_and_mask"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.storage", "_load_from_bytes"),
    ("matplotlib.artist", "_stale_axes_callback"),
    ("matplotlib.axis", "Axis._format_with_dict"),
    ("matplotlib.backend_bases", "_key_handler"),
    ("matplotlib.backend_bases", "_mouse_handler"),
    ("matplotlib.cbook", "_exception_printer"),
    ("matplotlib.cbook", "_picklable_class_constructor"),
}
"""Functions that make values of the libraries; any other one is refused."""


def main() -> None:
    with open("modules.json", encoding="utf-8") as file:
        _import(json.load(file))
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        _be_solution(theirs)
    theirs.close()
    _set_dumpable(0)
    with open("problem.json", encoding="utf-8") as file:
        problem = json.load(file)
    os.unlink("problem.json")
    outcome, said = "failed", ""
    try:
        _check(problem["code_context"], problem["solution"], ours)
        outcome = "passed"
    except MemoryError:
        outcome = "out-of-memory"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"[:500]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    print("\n" + json.dumps({"outcome": outcome, "said": said}), flush=True)
    os._exit(0)


def _import(names: list[str]) -> None:
    """Both processes need the libraries: they are read once."""
    for name in names:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if name == "matplotlib":
                module.use("Agg")


def _check(code_context: str, solution: str, channel: socket.socket) -> None:
    """The problem's own tests; raises what they raise."""
    tests = {"__name__": "tests"}
    exec(compile(code_context, "<tests>", "exec"), tests)
    tests["exec"] = lambda code, scope: _elsewhere(code, scope, channel)
    tests["test_execution"](solution)
    if "test_string" in tests:
        tests["test_string"](solution)


def _elsewhere(code: str, scope: dict, channel: socket.socket) -> None:
    """In place of `exec(code, scope)`: the other process runs the code."""
    hidden = _take_files(".")
    _send(channel, pickle.dumps((code, scope, _random_states())))
    answer = _receive(channel)
    if not answer:
        raise RuntimeError("the solution ended its process")
    found = _Reader(io.BytesIO(answer)).load()
    if found["error"]:
        raise RuntimeError(found["error"])
    scope["result"] = copy.deepcopy(_Reader(io.BytesIO(found["result"])).load())
    if found["figure"]:
        _show(_Reader(io.BytesIO(found["figure"])).load())
    for name, content in {**found["files"], **hidden}.items():
        with open(os.path.basename(name), "wb") as file:
            file.write(content)


def _show(figure) -> None:
    """Make it the current figure, as if it had been drawn here."""
    import matplotlib.pyplot as plt

    plt.close("all")
    manager = plt._get_backend_mod().new_figure_manager_given_figure(1, figure)
    plt._pylab_helpers.Gcf._set_new_active_manager(manager)


class _Reader(pickle.Unpickler):
    """Makes values of known kinds only."""

    def find_class(self, module: str, name: str):
        if (module, name) == ("builtins", "getattr"):
            return _method
        if name in PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.partition(".")[0] in LIBRARIES:
            if (module, name) in FUNCTIONS or name.startswith("__pyx_unpickle_"):
                return super().find_class(module, name)
            found = super().find_class(module, name)
            if isinstance(found, type) or type(found).__name__ == "ufunc":
                return found
        raise pickle.UnpicklingError(f"{module}.{name} may not be handed over")


def _method(thing, name: str):
    """In place of `getattr`, which reaches everything: a method of a part of a figure, such as one
    that it calls when it changes."""
    if type(thing) is list and name == "remove":
        return thing.remove
    drawn = type(thing).__module__.partition(".")[0] in ("matplotlib", "mpl_toolkits")
    if not drawn or name.startswith("__"):
        raise pickle.UnpicklingError(f"{name} of {type(thing).__name__} may not be handed over")
    return getattr(thing, name)


def _be_solution(channel: socket.socket) -> None:
    """Run each code that comes, in a directory of its own."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.makedirs("solution", exist_ok=True)
    os.chdir("solution")
    while message := _receive(channel):
        code, scope, states = pickle.loads(message)
        # Arrays that were unpickled cannot always be written to; copies can.
        scope = copy.deepcopy(scope)
        _set_random_states(states)
        _send(channel, _ran(code, scope))
    os._exit(0)


def _ran(code: str, scope: dict) -> bytes:
    """What came of the code: the pickled result, figure and files, or the error."""
    found = {"error": "", "result": b"", "figure": b"", "files": {}}
    try:
        exec(code, scope)
        found["result"] = pickle.dumps(scope["result"])
        if "matplotlib.pyplot" in sys.modules:
            plt = sys.modules["matplotlib.pyplot"]
            if plt.get_fignums():
                found["figure"] = pickle.dumps(plt.gcf())
        found["files"] = _take_files(".")
    except BaseException as error:
        found = {"error": f"{type(error).__name__}: {error}"[:500]}
    return pickle.dumps(found)


def _take_files(folder: str) -> dict[str, bytes]:
    """Content of the regular files of a directory, which are removed."""
    found, size = {}, 0
    for entry in list(os.scandir(folder)):
        if entry.is_file(follow_symlinks=False) and size < MAX_FILES:
            with open(entry.path, "rb") as file:
                found[entry.name] = file.read(MAX_FILES - size)
            size += len(found[entry.name])
            os.unlink(entry.path)
    return found


def _random_states() -> dict:
    """The solution goes on with the random numbers of the tests, as in one process."""
    states = {"random": random.getstate()}
    if "numpy" in sys.modules:
        states["numpy"] = sys.modules["numpy"].random.get_state()
    return states


def _set_random_states(states: dict) -> None:
    random.setstate(states["random"])
    if "numpy" in states:
        sys.modules["numpy"].random.set_state(states["numpy"])


def _send(channel: socket.socket, message: bytes) -> None:
    channel.sendall(struct.pack("!Q", len(message)) + message)


def _receive(channel: socket.socket) -> bytes:
    """The next message; b"" when the other side is gone or sends nonsense."""
    head = _exactly(channel, 8)
    size = struct.unpack("!Q", head)[0] if len(head) == 8 else 0
    body = _exactly(channel, size) if 0 < size <= MAX_MESSAGE else b""
    return body if len(body) == size else b""


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _set_dumpable(value: int) -> None:
    """Whether other processes of the user may read this one's memory (PR_SET_DUMPABLE)."""
    import _ctypes

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")
    _ctypes.call_function(prctl, (4, value, 0, 0, 0))


if __name__ == "__main__":
    main()
