"""What the evidence about a dialogue costs: many runs of its tests in one start of the sandbox."""

import subprocess
import time
from functools import partial
from pathlib import Path
from statistics import median

from aiev.core.files import read_jsonl
from aiev.core.types import Dialogue
from aiev.languages.base import Script
from aiev.languages.interpreter import Interpreter
from aiev.recipes.verification.contract import read_contract
from aiev.recipes.verification.evidence import collect
from aiev.recipes.verification.observe import Case, observe
from aiev.recipes.verification.separate import separate
from aiev.sandbox.api import Limits, open_sandbox
from benches import report
from benches.sandbox import STRIPPED

DIALOGUES = Path("config/recorded/teacher.jsonl")
"""Of the 0.5B teacher; those whose tests passed are checked once more."""

MOST_SECONDS = 1.5
"""Of one core, for a dialogue, from the requirements."""

FURTHER = 12
"""Runs behind the first one: stub, mutants and independent solutions of a typical dialogue."""

TURNS = 20


def evidence() -> None:
    """Seconds that a dialogue's evidence takes, against the most that it may; then what each
    further run of its tests costs in the box that stands, against an interpreter without packages
    and without a sandbox. Both are median wall times; the runs come one after another, so that they
    have one core."""
    limits = Limits()
    passed = [row for row in read_jsonl(DIALOGUES) if row["verdict"] == "candidate"]
    with open_sandbox("bubblewrap") as box:
        interpreter = Interpreter(box, limits, None)
        times = [_seconds(_check(interpreter, row)) for row in passed]
        took = median(times)
        report("evidence", took, "s", "the limit", MOST_SECONDS, MOST_SECONDS / took)
        few, many = (_runs(interpreter, passed[0], runs) for runs in (1, 1 + FURTHER))
        bare = partial(subprocess.run, STRIPPED, check=True)
        turns = [(_seconds(few), _seconds(many), _seconds(bare)) for _ in range(TURNS)]
    further = 1000 * median((many - few) / FURTHER for few, many, _ in turns)
    peer = 1000 * median(bare for *_, bare in turns)
    report("evidence_further_run", further, "ms", "bare interpreter", peer, peer / further)


def _check(interpreter: Interpreter, row: Dialogue):
    """The whole evidence of a dialogue, its first run done."""
    script = Script(f"{row['solution']}\n\n\n{row['tests']}")
    parts, contract = separate(script.code), read_contract(row["messages"][0]["content"])
    others = [each["solution"] for each in row["independent"] if not each["draft"]]
    first = interpreter.run(script)
    return lambda: collect(interpreter, script, parts, first, contract, others)


def _runs(interpreter: Interpreter, row: Dialogue, times: int):
    """The tests of a dialogue, so many times, in one start of the sandbox."""
    script = Script(f"{row['solution']}\n\n\n{row['tests']}")
    parts = separate(script.code)
    return lambda: observe(interpreter, script, parts, [Case(parts.solution)] * times)


def _seconds(work) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
