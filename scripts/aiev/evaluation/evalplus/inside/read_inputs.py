"""Runs inside the sandbox, before any solution: brings MBPP+'s inputs into Python's types.

problems.jsonl -> inputs.jsonl {"task_id", "base": [line], "plus": [line]}, the lines as `values`
writes them. JSON has no tuples, sets or complex numbers; EvalPlus knows which task takes them.
"""

import json
import sys
import types

import values


def main():
    # `datasets` costs seconds to import; EvalPlus needs it for EvalPerf only.
    module = types.ModuleType("datasets")
    module.load_dataset = None
    sys.modules["datasets"] = module
    from evalplus.data.mbpp import mbpp_deserialize_inputs

    with (
        open("problems.jsonl", encoding="utf-8") as source,
        open("inputs.jsonl", "w", encoding="utf-8") as target,
    ):
        for problem in map(json.loads, source):
            row = {"task_id": problem["task_id"]}
            for phase in ("base", "plus"):
                inputs = problem[f"{phase}_input"] or []
                if problem["task_id"].startswith("Mbpp/"):
                    inputs = mbpp_deserialize_inputs(problem["task_id"], inputs)
                row[phase] = [values.dump(list(arguments)) for arguments in inputs]
            target.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
