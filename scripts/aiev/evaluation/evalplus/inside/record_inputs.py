"""Runs inside the sandbox: records the inputs that HumanEval's tests give to a solution.

tasks.json {"tasks": [...], "max_inputs": n} -> inputs.json {task_id: {"inputs": [[argument, ...],
...], "repeated": n, "dropped": n} or {"error": text}}. `dropped` counts the calls beyond the n-th,
and those with arguments that JSON cannot hold.
"""

import copy
import json
import random


def record(task, max_inputs):
    """Run the task's own `check` on its canonical solution; -> the calls that it makes."""
    # Tests that draw random inputs draw the same ones every time.
    random.seed(0)
    space = {}
    exec(task["prompt"] + task["canonical_solution"] + "\n" + task["test"], space)
    function = space[task["entry_point"]]
    calls = []

    def recorder(*arguments):
        # Copied first: the function may change what it is given.
        calls.append(copy.deepcopy(arguments))
        return function(*arguments)

    space["check"](recorder)
    return keep(function, calls, max_inputs)


def keep(function, calls, max_inputs):
    inputs, repeated, dropped = [], 0, 0
    for arguments in calls:
        read_back = through_json(function, arguments)
        if read_back is None:
            dropped += 1
        # As text, because 1, 1.0 and True are equal and not the same input.
        elif json.dumps(read_back) in map(json.dumps, inputs):
            repeated += 1
        elif len(inputs) == max_inputs:
            dropped += 1
        else:
            inputs.append(read_back)
    return {"inputs": inputs, "repeated": repeated, "dropped": dropped}


def through_json(function, arguments):
    """The arguments as EvalPlus will read them (tuples as lists); None when that would be another
    question: JSON cannot hold them, or the function answers differently."""
    try:
        read_back = json.loads(json.dumps(arguments, allow_nan=False))
        if read_back == [*arguments]:
            return read_back
        same = function(*copy.deepcopy(arguments)) == function(*copy.deepcopy(read_back))
    except Exception:
        return None
    return read_back if same else None


def main():
    with open("tasks.json", encoding="utf-8") as file:
        given = json.load(file)
    found = {}
    for task in given["tasks"]:
        try:
            found[task["task_id"]] = record(task, given["max_inputs"])
        except Exception as error:
            found[task["task_id"]] = {"error": f"{type(error).__name__}: {error}"[:300]}
    with open("inputs.json", "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
