"""Judges one solution by a problem's own tests, with the comparison out of the solution's reach.

DS-1000's tests run the solution by `exec` in the process that knows the expected results, so that a
solution could patch the comparison. Here they are told apart:
  checker   this process runs the tests. Its `exec` sends the code and the test's input away, and
            takes home what the code left in `result`, its current figure and its files
  solution  solution.py: a fork from before the problem was read

In the working directory lie settings.json, {modules, seconds}, and problem.json, {code_context,
solution}; the latter is removed before any of the solution's code runs. The last line on stdout is
JSON: {"outcome", "said"}.
"""

import contextlib
import copy
import importlib
import json
import os
import socket
import sys
import tempfile

import solution
from handover import dumps, loads


class TimedOut(BaseException):
    """The solution took too much CPU time, or did nothing."""


def main() -> None:
    with open("settings.json", encoding="utf-8") as file:
        settings = json.load(file)
    _import(settings["modules"])
    # A solution can write here: from now on no module is looked for in the working directory.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        solution.serve(theirs, settings["seconds"])
    theirs.close()
    solution.set_process(solution.SET_DUMPABLE, 0)
    with open("problem.json", encoding="utf-8") as file:
        problem = json.load(file)
    os.unlink("problem.json")
    os.chdir(tempfile.mkdtemp())
    outcome, said = "failed", ""
    try:
        _check(problem["code_context"], problem["solution"], ours)
        outcome = "passed"
    except MemoryError:
        outcome = "out-of-memory"
    except TimedOut:
        outcome = "timed-out"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"[:500]
    print("\n" + json.dumps({"outcome": outcome, "said": said}), flush=True)
    os._exit(0)


def _import(names: list) -> None:
    """Both processes need the libraries: they are read once."""
    for name in names:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if name == "matplotlib":
                module.use("Agg")


def _check(code_context: str, code: str, channel: socket.socket) -> None:
    """The problem's own tests; raises what they raise."""
    tests = {"__name__": "tests"}
    exec(compile(code_context, "<tests>", "exec"), tests)
    tests["exec"] = lambda code, scope: _elsewhere(code, scope, channel)
    tests["test_execution"](code)
    if "test_string" in tests:
        tests["test_string"](code)


def _elsewhere(code: str, scope: dict, channel: socket.socket) -> None:
    """In place of `exec(code, scope)`: the other process runs the code."""
    hidden = solution.take_files(".")
    solution.send(channel.fileno(), dumps((code, scope, solution.random_states())))
    reply = solution.receive(channel.fileno())
    if reply[:1] == solution.TIMED_OUT:
        raise TimedOut
    if reply[:1] != solution.ANSWERED:
        raise RuntimeError("the solution ended its process")
    found = loads(reply[1:])
    if found["error"].startswith("MemoryError"):
        raise MemoryError
    if found["error"]:
        raise RuntimeError(found["error"])
    scope["result"] = copy.deepcopy(loads(found["result"]))
    if found["figure"]:
        _show(loads(found["figure"]))
    # A new directory: in the old one the solution may have left links.
    os.chdir(tempfile.mkdtemp())
    for name, content in {**found["files"], **hidden}.items():
        with open(os.path.basename(name), "xb") as file:
            file.write(content)


def _show(figure) -> None:
    """Make it the current figure, as if it had been drawn here."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise TypeError("what was handed over is no figure")
    plt.close("all")
    manager = plt._get_backend_mod().new_figure_manager_given_figure(1, figure)
    plt._pylab_helpers.Gcf._set_new_active_manager(manager)


if __name__ == "__main__":
    main()
