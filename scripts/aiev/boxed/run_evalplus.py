"""Runs inside the sandbox: EvalPlus's own evaluation of samples.jsonl against problems.jsonl.

settings.json -> results.json, EvalPlus's result (`eval`: task -> [status and failed tests]).
EvalPlus is unchanged; only where its result goes is ours: the solutions run under
the same user as this program, so that what lies in a file at the end need not be EvalPlus's word.
"""

import ctypes
import json
import os
import resource
import sys
import types

PR_SET_CHILD_SUBREAPER = 36


def without_datasets():
    """`datasets` costs a second to import; EvalPlus needs it for EvalPerf only."""
    module = types.ModuleType("datasets")
    module.load_dataset = None
    sys.modules["datasets"] = module


def evaluate(settings):
    """EvalPlus's result, as it hands it over for writing."""
    import evalplus.evaluate as evalplus

    kept = []
    evalplus.json = types.SimpleNamespace(dump=lambda result, file: kept.append(result))
    evalplus.evaluate(
        dataset=settings["dataset"],
        samples="samples.jsonl",
        base_only=settings["base_only"],
        parallel=settings["parallel"],
        i_just_wanna_run=True,
        min_time_limit=settings["min_time_limit"],
        gt_time_limit_factor=settings["gt_time_limit_factor"],
    )
    return kept[0]


def end_descendants():
    """Nothing that a solution left running may touch the result from here on."""
    import psutil

    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        psutil.wait_procs(left)


def main():
    # Orphans become children of this process, and so can be found.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open("settings.json", encoding="utf-8") as file:
        settings = json.load(file)
    # For every process on its own: a solution that wants more gets a MemoryError, and the sum of
    # them stays below what ends the box.
    most = settings["memory_mib"] << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    without_datasets()
    result = evaluate(settings)
    end_descendants()
    if os.path.lexists("results.json"):
        os.unlink("results.json")
    with open("results.json", "x", encoding="utf-8") as file:
        json.dump(result, file)
    # EvalPlus leaves a thread behind that sleeps for up to 20 s.
    os._exit(0)


if __name__ == "__main__":
    main()
